"""Code, text and shape of every answer, as `answers.toml` lists them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format

from gannet_client.codec import decode

CASES = tomllib.loads((Path(__file__).parent / "answers.toml").read_text())["case"]
GOOD = "dtype: DT_FLOAT tensor_shape { dim { size: 2 } dim { size: 4 } } float_val: [1, 2, 3, 4, 5, 6, 7, 8]"


@pytest.mark.parametrize("case", CASES, ids=[f"{case['rpc']}: {case['name']}" for case in CASES])
def test_answer(case: dict[str, Any], served: Any) -> None:
    request = text_format.Parse(case["request"].replace("$good", GOOD), _request_class(case["rpc"])())
    if case["code"] == "OK":
        _check_response(case, _method(served, case["rpc"])(request, timeout=30))
        return
    with pytest.raises(grpc.RpcError) as caught:
        _method(served, case["rpc"])(request, timeout=30)
    assert caught.value.code().name == case["code"]
    assert _masked(caught.value.details()) == case["message"]


def test_a_long_message_is_cut(served: Any) -> None:
    request = _request_class("Predict")()
    request.model_spec.name = "é" * 2000
    with pytest.raises(grpc.RpcError) as caught:
        served.prediction.Predict(request, timeout=30)
    details = caught.value.details()
    assert details.startswith("Servable not found for request: Latest(ééé")
    assert details.endswith("é...TRUNCATED")
    assert len(details.encode()) <= 1024 + len("...TRUNCATED")


def test_bytes_that_are_no_message(served: Any) -> None:
    call = served.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    _expect(grpc.StatusCode.INTERNAL, "", call, b"\xff\xff\xff")


@pytest.mark.parametrize("method", ["tensorflow.serving.PredictionService/Nope", "no.such.Service/Predict"])
def test_unknown_methods_of_any_cardinality(method: str, served: Any) -> None:
    _expect(grpc.StatusCode.UNIMPLEMENTED, "", served.channel.unary_unary(f"/{method}"), b"x")
    _expect(grpc.StatusCode.UNIMPLEMENTED, "", served.channel.stream_unary(f"/{method}"), iter([b"x", b"y"]))


def _expect(code: grpc.StatusCode, details: str, call: Any, request: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    assert (caught.value.code(), caught.value.details()) == (code, details)


def _check_response(case: dict[str, Any], response: Any) -> None:
    if "response" in case:
        assert response == text_format.Parse(case["response"], type(response)())
    else:
        images = decode(response.outputs["images"])
        assert list(images.shape) == case["shape"]
        assert np.isfinite(images).all() == case.get("finite", True)


def _masked(message: str) -> str:
    return re.sub(r"\{\{node [^}]*\}\}", "{{node *}}", message)


def _method(served: Any, rpc: str) -> Any:
    return getattr(
        served.model if rpc in ("GetModelStatus", "HandleReloadConfigRequest") else served.prediction, rpc
    )


def _request_class(rpc: str) -> Any:
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
