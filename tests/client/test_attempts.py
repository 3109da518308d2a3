"""The policy of attempts in a world without a network, where time passes as the test says."""

import pickle
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gannet_client
from gannet_client import Client, GannetError, Retry
from gannet_client.operations.attempts import Attempts, Deadline, Reply
from gannet_client.operations.effects import Call, Sleep
from gannet_client.operations.endpoints import Endpoints
from gannet_client.operations.failures import Failure, to_error
from gannet_client.operations.ref import ModelRef

OUTCOMES = st.one_of(
    st.just(b"answer"),
    st.builds(
        Failure,
        st.sampled_from(list(grpc.StatusCode)[1:]),
        st.sampled_from(["", "message larger than max", "batch scheduling queue", "Task size 9"]),
        st.none() | st.floats(-1, 5),
    ),
)


def subclasses(kind: type[GannetError]) -> list[type[GannetError]]:
    """All errors below this one that the client itself has."""
    below = [each for each in kind.__subclasses__() if each.__module__ == "gannet_client.errors"]
    return below + [each for child in below for each in subclasses(child)]


class World:
    """Answers each call with the next outcome, after some seconds; keeps what was asked."""

    def __init__(self, outcomes: Sequence[bytes | Failure], seconds: float) -> None:
        self.now = 0.0
        self.calls: list[Call] = []
        self.sleeps: list[float] = []
        self._outcomes = list(outcomes)
        self._seconds = seconds

    def clock(self) -> float:
        return self.now

    def run(self, operation: Any) -> Any:
        answer = None
        try:
            while True:
                answer = self._perform(operation.send(answer))
        except StopIteration as end:
            return end.value

    def _perform(self, effect: Any) -> Any:
        if isinstance(effect, Sleep):
            self.sleeps.append(effect.seconds)
            self.now += effect.seconds
            return None
        self.calls.append(effect)
        self.now += min(self._seconds, effect.timeout)
        if self._seconds > effect.timeout:
            return Failure(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        return self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]


def settings(retry: Retry, targets: Sequence[str]) -> Any:
    return Client(targets, model="m", retry=retry)._settings


@given(
    outcomes=st.lists(OUTCOMES, min_size=1, max_size=8),
    seconds=st.floats(0, 3),
    timeout=st.floats(0.1, 20),
    attempts=st.integers(1, 6),
    limit=st.none() | st.floats(0.1, 5),
    count=st.integers(1, 4),
)
def test_every_request_ends_within_its_deadline_and_its_attempts(
    outcomes: list[Any], seconds: float, timeout: float, attempts: int, limit: float | None, count: int
) -> None:
    world = World(outcomes, seconds)
    told: list[tuple[GannetError, float]] = []
    retry = Retry(
        attempts=attempts, attempt_timeout=limit, on_retry=lambda error, pause: told.append((error, pause))
    )
    targets = [f"host{number}:1" for number in range(count)]
    sending = Attempts(settings(retry, targets), Endpoints(targets, world.clock)).send(
        "/m", b"request", Deadline(timeout, world.clock), ModelRef("m", 3)
    )
    try:
        reply: Reply | GannetError = world.run(sending)
    except GannetError as error:
        reply = error
        assert (error.model, error.version, error.endpoint) == ("m", 3, world.calls[-1].endpoint)
    assert world.now <= timeout + 1e-6
    assert 1 <= len(world.calls) == reply.attempts <= attempts
    assert len(told) == len(world.calls) - 1
    assert [pause for _, pause in told if pause] == world.sleeps
    assert all(call.timeout <= (limit or timeout) for call in world.calls)


@given(
    outcomes=st.lists(OUTCOMES, min_size=1, max_size=60),
    calls=st.integers(1, 40),
    attempts=st.integers(1, 6),
    budget=st.floats(1, 20),
    count=st.integers(1, 3),
)
def test_repeats_stay_within_the_budget_of_all_calls(
    outcomes: list[Any], calls: int, attempts: int, budget: float, count: int
) -> None:
    world, answers, repeats = World(outcomes, 0.1), 0, 0
    targets = [f"host{number}:1" for number in range(count)]
    endpoints = Endpoints(targets, world.clock)
    sender = Attempts(settings(Retry(attempts=attempts, budget=budget), targets), endpoints)
    for _ in range(calls):
        world.calls.clear()
        try:
            world.run(sender.send("/m", b"request", Deadline(60, world.clock), ModelRef("m")))
            answers += 1
        except GannetError:
            pass
        repeats += len(world.calls) - len({call.endpoint for call in world.calls})
        assert repeats <= budget / 2 + 1 + answers / 10


@given(st.sampled_from(list(grpc.StatusCode)[1:]), st.text(), st.integers(1, 9))
def test_every_failure_has_an_error_of_one_line(code: Any, text: str, attempts: int) -> None:
    details = " ".join(text.split())
    error = to_error(Failure(code, details), "model 'm' at a:1", attempts)
    assert str(error).startswith("model 'm' at a:1: ") and code.name in str(error)
    assert error.advice in str(error) and error.attempts == attempts
    assert type(error).__name__ in gannet_client.__all__


@pytest.mark.parametrize("kind", [GannetError, *subclasses(GannetError)])
def test_errors_travel_between_processes(kind: type[GannetError]) -> None:
    assert kind.__name__ in gannet_client.__all__
    error = kind("what happened")
    error.model, error.version, error.endpoint, error.attempts = "m", 3, "a:1", 2
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind and str(copy) == "what happened"
    assert (copy.model, copy.version, copy.endpoint, copy.attempts) == ("m", 3, "a:1", 2)
    assert copy.retryable == (kind.__name__ in ("ServerUnreachable", "ServerOverloaded", "RequestTimeout"))
