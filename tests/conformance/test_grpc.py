"""Code, text and shape of every answer over gRPC, as `grpc.toml` lists them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format

from gannet_client.codec import decode
from tests.conformance.rpcs import request_class

CASES = tomllib.loads((Path(__file__).parent / "grpc.toml").read_text(encoding="utf-8"))["case"]
ROW = 100
PLACEHOLDERS = {
    "$good": f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 2 }} dim {{ size: {ROW} }} }} float_val: 0.5",
    "$row": f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 1 }} dim {{ size: {ROW} }} }}",
    **{f"$content{n}": r"\000\000\200?" * n for n in (ROW - 1, ROW, ROW + 1)},
    **{f"$values{n}": f"[{', '.join(['0.5'] * n)}]" for n in (ROW, ROW + 1)},
}


@pytest.mark.parametrize("case", CASES, ids=[f"{case['rpc']}: {case['name']}" for case in CASES])
def test_answer(case: dict[str, Any], target: Any) -> None:
    expected = {**case, **case.get("better", {})} if target.embedded else case
    answer = _ask(target, case)
    if expected["code"] != "OK":
        assert isinstance(answer, grpc.RpcError), answer
        assert (answer.code().name, _masked(answer.details() or "")) == (
            expected["code"],
            expected["message"],
        )
    elif "response" in expected:
        assert answer == text_format.Parse(expected["response"], type(answer)())
    else:
        images = decode(answer.outputs["images"])
        assert list(images.shape) == expected["shape"]
        assert np.isfinite(images).all() == expected.get("finite", True)


def test_a_long_message_is_cut(target: Any) -> None:
    request = request_class("Predict")()
    request.model_spec.name = "é" * 2000
    with pytest.raises(grpc.RpcError) as caught:
        target.prediction.Predict(request, timeout=30)
    details = caught.value.details()
    assert details.startswith("Servable not found for request: Latest(ééé")
    assert details.endswith("é...TRUNCATED")
    assert len(details.encode()) <= 1024 + len("...TRUNCATED")


def test_an_unknown_method_that_streams(target: Any) -> None:
    call = target.channel.stream_unary("/tensorflow.serving.PredictionService/Nope")
    with pytest.raises(grpc.RpcError) as caught:
        call(iter([b"x", b"y"]), timeout=30)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "")


def _ask(target: Any, case: dict[str, Any]) -> Any:
    """The response, or the error that the call met."""
    rpc, timeout = case["rpc"], case.get("timeout", 30)
    try:
        if rpc.startswith("/"):
            return target.channel.unary_unary(rpc)(case["request"].encode("latin-1"), timeout=timeout)
        from tests.conformance.conftest import method

        text = re.sub(r"\$[a-z]+\d*", lambda match: PLACEHOLDERS[match[0]], case["request"])
        return method(target, rpc)(text_format.Parse(text, request_class(rpc)()), timeout=timeout)
    except grpc.RpcError as error:
        return error


def _masked(message: str) -> str:
    """What belongs to the exported graph or to the protobuf library is not compared."""
    nodes = re.sub(r"\{\{node [^}]*\}\}", "{{node *}}", message)
    return re.sub(r"goo\.gle/debugonly.*", "goo.gle/debugonly *", nodes, flags=re.DOTALL)
