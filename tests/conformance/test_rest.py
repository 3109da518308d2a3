"""Code and body of every answer over REST, as `rest.toml` lists them."""

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.answers import Target, expected, load_cases, masked

CASES = load_cases("rest.toml")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answer(case: dict[str, Any], target: Target) -> None:
    if not target.rest:
        pytest.skip("GANNET_CONFORMANCE_REST names no address")
    wanted = expected(case, target)
    code, kind, body = ask(target.rest, case)
    assert (code, kind) == (wanted["http"], "application/json"), body
    if "error" in wanted:
        assert masked(json.loads(body)["error"]) == wanted["error"]
    elif "response" in wanted:
        assert strictly(json.loads(body)) == strictly(json.loads(wanted["response"]))
    else:
        assert not body
    for text in wanted.get("holds", []):
        assert text in body


def ask(rest: str, case: dict[str, Any]) -> tuple[int, str, str]:
    """Code, content type and body."""
    method, _, path = case["request"].partition(" ")
    connection = HTTPConnection(urlsplit(rest).netloc, timeout=30)
    try:
        connection.request(method, path, case.get("body", "").encode() or None)
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read().decode()
    finally:
        connection.close()


def strictly(value: Any) -> str:
    """A form in which 1, 1.0 and true differ, NaN equals itself, and the order of keys does not count."""
    return json.dumps(value, sort_keys=True)
