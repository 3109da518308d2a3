"""Code, text and shape of every answer with batching, as `batching.toml` lists them."""

from typing import Any

import grpc
import pytest

from tests.conformance.answers import Target, check_answer, expected, load_cases, masked, parse_request

DIFFERENT = {case["name"]: case for case in load_cases("batching.toml")}
ALL = load_cases("grpc.toml")
CASES = [
    *({**case, **DIFFERENT.get(case["name"], {})} for case in ALL if 'name: "gen"' in case["request"]),
    *(case for case in ALL if 'name: "examples"' in case["request"] and case["code"] == "OK"),
]
MERGED = load_cases("batching.toml", "merged")


@pytest.mark.parametrize("case", CASES, ids=[f"{case['rpc']}: {case['name']}" for case in CASES])
def test_answer(case: dict[str, Any], batching_target: Target) -> None:
    check_answer(case, batching_target)


@pytest.mark.parametrize("case", MERGED, ids=[case["name"] for case in MERGED])
def test_answers_at_once(case: dict[str, Any], batching_target: Target) -> None:
    wanted = expected(case, batching_target)["answers"]
    each = [wanted] * len(case["inputs"]) if isinstance(wanted, str) else wanted
    assert answers(batching_target, case["inputs"]) == each


def test_a_full_queue_refuses(batching_target: Target) -> None:
    given = answers(batching_target, ["$row"] * 30)
    assert set(given) <= {
        "OK",
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full; "
        "currently 2 batches enqueued and max_enqueued_batches is 2",
    }
    assert given.count("OK") >= 8


def answers(target: Target, inputs: list[str]) -> list[str]:
    """What each of several calls at once is answered."""
    requests = [
        parse_request(
            "Predict", f'model_spec {{ name: "merging" }} inputs {{ key: "noise" value {{ {x} }} }}'
        )
        for x in inputs
    ]
    calls = [target.prediction.Predict.future(request, timeout=30) for request in requests]
    return [text_of(call.exception()) for call in calls]


def text_of(error: Any) -> str:
    return f"{error.code().name}: {masked(error.details())}" if isinstance(error, grpc.RpcError) else "OK"
