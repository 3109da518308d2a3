"""Code, text and shape of every answer over gRPC, as `grpc.toml` lists them."""

import re
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format

from gannet_client.codec import decode
from tests.conformance.answers import Target, expected, load_cases, masked, request_class

CASES = load_cases("grpc.toml")
ROW = 100
EXAMPLE = 'examples {{ features {{ feature {{ key: "x" value {{ float_list {{ value: {} }} }} }} }} }}'
PLACEHOLDERS = {
    "$examples": f"input {{ example_list {{ {EXAMPLE.format([1, 2])} {EXAMPLE.format([3, -4])} }} }}",
    "$good": f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 2 }} dim {{ size: {ROW} }} }} float_val: 0.5",
    "$row": f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 1 }} dim {{ size: {ROW} }} }}",
    **{f"$content{n}": r"\000\000\200?" * n for n in (ROW - 1, ROW, ROW + 1)},
    **{f"$values{n}": f"[{', '.join(['0.5'] * n)}]" for n in (ROW, ROW + 1)},
}


@pytest.mark.parametrize("case", CASES, ids=[f"{case['rpc']}: {case['name']}" for case in CASES])
def test_answer(case: dict[str, Any], target: Target) -> None:
    wanted, answer = expected(case, target), _ask(target, case)
    if wanted["code"] != "OK":
        assert isinstance(answer, grpc.RpcError), answer
        assert (answer.code().name, masked(answer.details())) == (wanted["code"], wanted["message"])
    elif "response" in wanted:
        assert answer == text_format.Parse(wanted["response"], type(answer)())
    else:
        images = decode(answer.outputs["images"])
        assert list(images.shape) == wanted["shape"]
        assert np.isfinite(images).all() == wanted.get("finite", True)


def test_a_long_message_is_cut(target: Target) -> None:
    request = request_class("Predict")()
    request.model_spec.name = "é" * 2000
    with pytest.raises(grpc.RpcError) as caught:
        target.prediction.Predict(request, timeout=30)
    details = caught.value.details()
    assert details.startswith("Servable not found for request: Latest(ééé")
    assert details.endswith("é...TRUNCATED")
    assert len(details.encode()) <= 1024 + len("...TRUNCATED")


def test_an_unknown_method_that_streams(target: Target) -> None:
    call = target.channel.stream_unary("/tensorflow.serving.PredictionService/Nope")
    with pytest.raises(grpc.RpcError) as caught:
        call(iter([b"x", b"y"]), timeout=30)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "")


def test_more_callers_than_threads(target: Target) -> None:
    """Those beyond `--grpc_max_threads` are refused."""
    request = text_format.Parse(
        _filled('model_spec { name: "gen" } inputs { key: "noise" value { $good } }'),
        request_class("Predict")(),
    )
    calls = [target.prediction.Predict.future(request, timeout=60) for _ in range(100)]
    refusals = [error for error in (call.exception() for call in calls) if error]
    assert {(error.code().name, error.details()) for error in refusals} <= {
        ("RESOURCE_EXHAUSTED", "Server Threadpool Exhausted")
    }


def _ask(target: Target, case: dict[str, Any]) -> Any:
    """The response, or the error that the call met."""
    rpc, timeout = case["rpc"], case.get("timeout", 30)
    try:
        if rpc.startswith("/"):
            return target.channel.unary_unary(rpc)(case["request"].encode("latin-1"), timeout=timeout)
        request = text_format.Parse(_filled(case["request"]), request_class(rpc)())
        return target.method(rpc)(request, timeout=timeout)
    except grpc.RpcError as error:
        return error


def _filled(text: str) -> str:
    return re.sub(r"\$[a-z]+\d*", lambda match: PLACEHOLDERS[match[0]], text)
