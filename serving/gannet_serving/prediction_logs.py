"""Runs again what a PredictionLog says was asked."""

from typing import TYPE_CHECKING, Any

import grpc

from gannet_client.contract import SERVING_DEFAULT
from gannet_serving.signatures import input_tensors, output_tensors
from gannet_serving.status import StatusError

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession


def run_log(session: "ModelSession", log: Any) -> None:
    """Runs the request of a PredictionLog; its answer, model name and version do not matter.

    Raises:
        StatusError: The request fails, or is of a kind that cannot be run.
    """
    kind = log.WhichOneof("log_type")
    if kind not in _RUN:
        number = log.DESCRIPTOR.fields_by_name[kind].number if kind else 0
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
    _RUN[kind](session, getattr(log, kind).request)


def _predict(session: "ModelSession", request: Any) -> None:
    key = request.model_spec.signature_name or SERVING_DEFAULT
    if key not in session.signatures:
        raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
    signature = session.signatures[key]
    feeds = input_tensors(signature, request.inputs)
    session.run(feeds, list(output_tensors(signature, request.output_filter).values()))


_RUN = {"predict_log": _predict}
"""By the kind of log."""
