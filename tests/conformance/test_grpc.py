"""Code, text and shape of every answer over gRPC, as `grpc.toml` lists them."""

from typing import Any

import grpc
import pytest

from tests.conformance.answers import Target, check_answer, load_cases, parse_request, request_class

CASES = load_cases("grpc.toml")


@pytest.mark.parametrize("case", CASES, ids=[f"{case['rpc']}: {case['name']}" for case in CASES])
def test_answer(case: dict[str, Any], target: Target) -> None:
    check_answer(case, target)


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
    request = parse_request("Predict", 'model_spec { name: "gen" } inputs { key: "noise" value { $good } }')
    calls = [target.prediction.Predict.future(request, timeout=60) for _ in range(100)]
    refusals = [error for error in (call.exception() for call in calls) if error]
    assert {(error.code().name, error.details()) for error in refusals} <= {
        ("RESOURCE_EXHAUSTED", "Server Threadpool Exhausted")
    }
