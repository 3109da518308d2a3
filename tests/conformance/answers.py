"""What the tests of all answers share."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import grpc


class Target(NamedTuple):
    """The server that is asked.

    Attributes:
        prediction: The official client of PredictionService.
        model: The official client of ModelService.
        channel: What both use.
        rest: `http://HOST:PORT` of REST, or an empty string where only gRPC is to be asked.
        embedded: Whether it is the embedded server.
    """

    prediction: Any
    model: Any
    channel: grpc.Channel
    rest: str
    embedded: bool

    def method(self, rpc: str) -> Any:
        """The official client's method of that name."""
        of_models = rpc in ("GetModelStatus", "HandleReloadConfigRequest")
        return getattr(self.model if of_models else self.prediction, rpc)


def load_cases(name: str) -> list[dict[str, Any]]:
    """The cases of a file beside this one."""
    cases: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / name).read_text("utf-8"))["case"]
    return cases


def expected(case: dict[str, Any], target: Target) -> dict[str, Any]:
    """What this target is to answer: the embedded server is better in some cases."""
    return {**case, **case.get("better", {})} if target.embedded else case


def masked(message: str) -> str:
    """What belongs to the exported graph or to the protobuf library is not compared."""
    nodes = re.sub(r"\{\{node [^}]*\}\}", "{{node *}}", message)
    return re.sub(r"goo\.gle/debugonly.*", "goo.gle/debugonly *", nodes, flags=re.DOTALL)


def request_class(rpc: str) -> Any:
    """The official message of a method's requests."""
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        model_management_pb2,
        predict_pb2,
        regression_pb2,
    )

    return {
        "Classify": classification_pb2.ClassificationRequest,
        "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
        "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
        "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
        "MultiInference": inference_pb2.MultiInferenceRequest,
        "Predict": predict_pb2.PredictRequest,
        "Regress": regression_pb2.RegressionRequest,
    }[rpc]
