"""What the tests of all answers share."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
from google.protobuf import text_format

from gannet_client.codec import decode

ROW = 100
EXAMPLE = 'examples {{ features {{ feature {{ key: "x" value {{ float_list {{ value: {} }} }} }} }} }}'
PLACEHOLDERS = {
    "$examples": f"input {{ example_list {{ {EXAMPLE.format([1, 2])} {EXAMPLE.format([3, -4])} }} }}",
    "$good": f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 2 }} dim {{ size: {ROW} }} }} float_val: 0.5",
    "$row": f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 1 }} dim {{ size: {ROW} }} }}",
    **{f"$content{n}": r"\000\000\200?" * n for n in (ROW - 1, ROW, ROW + 1)},
    **{f"$values{n}": f"[{', '.join(['0.5'] * n)}]" for n in (ROW, ROW + 1)},
}


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


def load_cases(name: str, kind: str = "case") -> list[dict[str, Any]]:
    """The cases of a file beside this one."""
    cases: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / name).read_text("utf-8"))[kind]
    return cases


def check_answer(case: dict[str, Any], target: Target) -> None:
    """Asks what a case asks for, and compares."""
    wanted = expected(case, target)
    answer = _ask(target, wanted)
    if wanted["code"] != "OK":
        assert isinstance(answer, grpc.RpcError), answer
        assert (answer.code().name, masked(answer.details())) == (wanted["code"], wanted["message"])
    elif "response" in wanted:
        assert answer == text_format.Parse(wanted["response"], type(answer)())
    else:
        images = decode(answer.outputs["images"])
        assert list(images.shape) == wanted["shape"]
        assert np.isfinite(images).all() == wanted.get("finite", True)


def parse_request(rpc: str, text: str) -> Any:
    """The message of a method's request, with the placeholders filled in."""
    filled = re.sub(r"\$[a-z]+\d*", lambda match: PLACEHOLDERS[match[0]], text)
    return text_format.Parse(filled, request_class(rpc)())


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


def _ask(target: Target, case: dict[str, Any]) -> Any:
    """The response, or the error that the call met."""
    rpc, timeout = case["rpc"], case.get("timeout", 30)
    try:
        if rpc.startswith("/"):
            return target.channel.unary_unary(rpc)(case["request"].encode("latin-1"), timeout=timeout)
        return target.method(rpc)(parse_request(rpc, case["request"]), timeout=timeout)
    except grpc.RpcError as error:
        return error
