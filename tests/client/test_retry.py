"""Requests that fail and are sent again."""

import time
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client import (
    NO_RETRY,
    AnswerTooLarge,
    Client,
    GannetError,
    RequestRejected,
    RequestTimeout,
    Retry,
    ServerOverloaded,
    ServerUnreachable,
    UsageError,
)
from gannet_client.operations.endpoints import Endpoints

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


class Hook(list[tuple[GannetError, float]]):
    """Collects what `on_retry` is told."""

    def __call__(self, error: GannetError, pause: float) -> None:
        self.append((error, pause))


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def client(target: str, fake: Any, hook: Hook) -> Any:
    with Client(target, model="digits", retry=Retry(first=0.01, on_retry=hook)) as client:
        client.generate(1)
        fake.requests.clear()
        yield client


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (UNAVAILABLE, "Socket closed", ServerUnreachable),
        (UNAVAILABLE, "The batch scheduling queue ... is full", ServerOverloaded),
        (EXHAUSTED, "Server Threadpool Exhausted", ServerOverloaded),
    ],
)
def test_what_may_pass_is_tried_again(
    client: Client, fake: Any, hook: Hook, drawn: Any, code: Any, text: str, kind: type[GannetError]
) -> None:
    fake.failures.extend([(code, text, None)] * 2)
    images = client.generate(3, seed=7)
    assert np.array_equal(images.array, drawn([7, 8, 9], 1))
    assert (images.attempts, len(fake.requests)) == (3, 3)
    assert [type(error) for error, _ in hook] == [kind, kind]
    assert [error.attempts for error, _ in hook] == [1, 2]
    assert all(0 <= pause <= 0.02 for _, pause in hook)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "bad", RequestRejected),
        (grpc.StatusCode.INTERNAL, "bug", RequestRejected),
        (EXHAUSTED, "CLIENT: Received message larger than max (9 vs. 4)", AnswerTooLarge),
    ],
)
def test_what_will_not_pass_is_not(
    client: Client, fake: Any, hook: Hook, code: Any, text: str, kind: type[GannetError]
) -> None:
    fake.fail_with = (code, text)
    with pytest.raises(kind) as caught:
        client.generate(1)
    assert (caught.value.attempts, caught.value.retryable, hook) == (1, False, [])


def test_attempts_come_to_an_end(client: Client, fake: Any, hook: Hook, target: str) -> None:
    fake.fail_with = (UNAVAILABLE, "gone")
    with pytest.raises(ServerUnreachable, match=r"UNAVAILABLE after 4 attempts: gone") as caught:
        client.status()
    assert (caught.value.attempts, len(fake.requests), len(hook)) == (4, 4, 3)
    assert (caught.value.endpoint, caught.value.model, caught.value.retryable) == (target, "digits", True)


def test_the_off_switch(client: Client, fake: Any) -> None:
    fake.fail_with = (UNAVAILABLE, "gone")
    with pytest.raises(ServerUnreachable):
        client.with_options(retry=NO_RETRY).status()
    assert len(fake.requests) == 1


def test_the_server_may_say_when(client: Client, fake: Any, hook: Hook) -> None:
    fake.failures.append((UNAVAILABLE, "busy", "70"))
    client.status()
    assert [pause for _, pause in hook] == [0.07]


@pytest.mark.parametrize("wish", ["-1", "never"])
def test_the_server_may_forbid_it(client: Client, fake: Any, hook: Hook, wish: str) -> None:
    fake.failures.append((UNAVAILABLE, "going down", wish))
    with pytest.raises(ServerUnreachable):
        client.status()
    assert hook == []


def test_no_pause_outlasts_the_deadline(client: Client, fake: Any, hook: Hook) -> None:
    fake.failures.append((UNAVAILABLE, "busy", "60000"))
    with pytest.raises(ServerUnreachable, match="busy"):
        client.status(timeout=20)
    assert hook == []


def test_one_deadline_is_that_of_all_attempts(client: Client, fake: Any) -> None:
    fake.failures.extend([(UNAVAILABLE, "busy", "300")] * 2)
    client.status(timeout=9)  # gRPC rounds longer ones
    first, second, third = fake.remaining[-3:]
    assert first - second > 0.25 and second - third > 0.25


def test_an_attempt_may_have_a_limit_of_its_own(target: str, fake: Any, hook: Hook) -> None:
    retry = Retry(first=0, attempt_timeout=0.3, on_retry=hook)
    with Client(target, model="digits") as patient, patient.with_options(retry=retry) as client:
        patient.status()  # connected
        fake.release.clear()
        with pytest.raises(RequestTimeout) as caught:
            client.status(timeout=20)
        assert caught.value.attempts == 4
        assert max(fake.remaining[1:]) <= 0.4


def test_all_calls_share_a_budget_of_repeats(client: Client, fake: Any, drawn: Any) -> None:
    retry = Retry(first=0, budget=10)
    with client.with_options(retry=retry) as one, client.with_options(retry=retry) as other:
        fake.fail_with = (UNAVAILABLE, "gone")
        for _ in range(10):
            for copy in (one, other):
                with pytest.raises(ServerUnreachable):
                    copy.status()
        assert len(fake.requests) == 20 + 6  # while no less than half is left
        fake.fail_with = None
        for _ in range(10):
            one.status()
        fake.requests.clear()
        fake.fail_with = (UNAVAILABLE, "gone")
        with pytest.raises(ServerUnreachable):
            other.status()
        assert len(fake.requests) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"first": -1},
        {"first": 3, "longest": 2},
        {"first": float("inf")},
        {"longest": float("nan")},
        {"attempt_timeout": 0},
        {"budget": 0.5},
        {"budget": float("nan")},
        {"budget": None},
    ],
)
def test_a_policy_that_is_none(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="received"):
        Retry(**arguments)


@given(st.floats(0, 1), st.floats(0, 100), st.integers(1, 10_000))
def test_jitter_is_full_and_bounded(first: float, more: float, attempt: int) -> None:
    retry = Retry(first=first, longest=first + more)
    assert 0 <= retry.pause(attempt) <= min(first * 2.0 ** min(attempt - 1, 60), first + more)
    assert 0 <= Retry(first=3 * first).pause(attempt) <= max(2, 3 * first)


class Clock:
    """A clock that the test turns."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_endpoint_has_its_turn() -> None:
    endpoints = Endpoints(["a", "b", "c"], Clock())
    assert sorted(endpoints.next() for _ in range(6)) == ["a", "a", "b", "b", "c", "c"]
    assert endpoints.next(["a", "b"]) == "c"
    assert sorted({endpoints.next(["a"]) for _ in range(4)}) == ["b", "c"]


def test_a_dead_endpoint_is_left_out_and_comes_back() -> None:
    clock = Clock()
    endpoints = Endpoints(["a", "b"], clock)
    endpoints.failed("a")
    assert {endpoints.next() for _ in range(4)} == {"b"}
    assert not endpoints.has_other(["b"])
    clock.now += 0.51
    assert sorted(endpoints.next() for _ in range(3)) == ["a", "b", "b"]  # one request tries it
    endpoints.failed("a")
    clock.now += 0.51
    assert {endpoints.next() for _ in range(4)} == {"b"}  # the second time for longer
    clock.now += 0.5
    assert "a" in {endpoints.next() for _ in range(2)}
    endpoints.answered("a")
    assert sorted(endpoints.next() for _ in range(4)) == ["a", "a", "b", "b"]


def test_where_all_are_dead_the_next_to_return_is_asked() -> None:
    clock = Clock()
    endpoints = Endpoints(["a", "b"], clock)
    for target in ("b", "a", "a"):
        endpoints.failed(target)
    assert endpoints.next() == "b"


def test_a_second_endpoint_takes_over_without_a_pause(
    start: Any, fake: Any, drawn: Any, free_port: int, hook: Hook
) -> None:
    good, dead = f"127.0.0.1:{start(fake).port}", f"127.0.0.1:{free_port}"
    with Client([dead, good], model="digits", retry=Retry(first=60, budget=1, on_retry=hook)) as client:
        for seed in range(20):
            images = client.generate(1, seed=seed)
            assert images.endpoint == good
            assert np.array_equal(images.array, drawn([seed], 1))
        assert {pause for _, pause in hook} == {0.0}
        assert {error.endpoint for error, _ in hook} == {dead}
        start(fake, free_port)
        deadline = time.monotonic() + 30
        while client.generate(1).endpoint != dead and time.monotonic() < deadline:
            time.sleep(0.05)
        assert {client.generate(1).endpoint for _ in range(4)} == {good, dead}


def test_another_endpoint_may_have_the_version(start: Any, fake: Any, drawn: Any) -> None:
    """As while versions roll out over several servers."""
    older = type(fake)()
    fake.states = {1: 30, 2: 30}
    targets = [f"127.0.0.1:{start(serving).port}" for serving in (older, fake)]
    with Client(targets, model="digits", chunk_rows=5) as client:
        for _ in range(4):
            images = client.generate(40, seed=0, version=2)
            assert np.array_equal(images.array, drawn(range(40), 2))
        for _ in range(4):
            images = client.generate(40, seed=0)
            assert np.array_equal(images.array, drawn(range(40), images.version))
