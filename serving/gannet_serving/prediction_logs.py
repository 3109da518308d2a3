"""Runs again what a PredictionLog says was asked."""

from collections.abc import Callable
from typing import Any

import grpc

from gannet_serving.example_kinds import run_classify, run_regress
from gannet_serving.loaded import LoadedModel
from gannet_serving.multi_inference import run_multi_inference
from gannet_serving.predict import run_predict
from gannet_serving.status import StatusError


def run_log(session: LoadedModel, log: Any) -> None:
    """Runs the request of a PredictionLog; its answer, model name and version do not matter.

    Raises:
        StatusError: The request fails, or is of a kind that cannot be run.
    """
    kind = log.WhichOneof("log_type")
    if kind not in _RUN:
        number = log.DESCRIPTOR.fields_by_name[kind].number if kind else 0
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
    _RUN[kind](session, getattr(log, kind).request)


_RUN: dict[str, Callable[[LoadedModel, Any], Any]] = {
    "predict_log": run_predict,
    "classify_log": run_classify,
    "regress_log": run_regress,
    "multi_inference_log": run_multi_inference,
}
"""By the kind of log."""
