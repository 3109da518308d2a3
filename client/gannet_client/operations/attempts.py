"""One request, sent as often as the policy allows and the deadline lets."""

import time
from collections.abc import Callable
from typing import NamedTuple

from gannet_client.checks import check_seconds
from gannet_client.errors import GannetError, ModelNotFound, RequestTimeout, ServerUnreachable
from gannet_client.operations.effects import Call, Operation, Sleep
from gannet_client.operations.endpoints import Endpoints
from gannet_client.operations.failures import Failure, to_error
from gannet_client.operations.ref import ModelRef
from gannet_client.settings import Settings


class Deadline:
    """A moment that all requests of a call have in common."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = check_seconds("timeout", seconds)
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(self._end - self._clock(), 0.0)


class Reply(NamedTuple):
    """The bytes of a response, who sent it, after how many requests and, for the last one, seconds."""

    data: bytes
    endpoint: str
    attempts: int
    seconds: float


class Attempts:
    """Sends requests to the endpoints of a client.

    Args:
        settings: The client's.
        endpoints: Those of `settings`, with what is known of them.
    """

    def __init__(self, settings: Settings, endpoints: Endpoints) -> None:
        self._settings = settings
        self._endpoints = endpoints

    def send(
        self, method: str, request: bytes, deadline: Deadline, ref: ModelRef, *, retried: bool = True
    ) -> Operation[Reply]:
        """Sends a request until it is answered.

        Args:
            method: gRPC's path of it.
            request: The message.
            deadline: Of all attempts.
            ref: The model, which begins the message of an error.
            retried: Whether there is more than one attempt.

        Raises:
            GannetError: As the table of `_failures` says, of the last attempt.
        """
        retry = self._settings.retry
        tried: list[str] = []
        while True:
            endpoint = self._endpoints.next(tried)
            tried.append(endpoint)
            sent = time.monotonic()
            outcome = yield self._call(endpoint, method, request, deadline)
            if isinstance(outcome, bytes):
                self._endpoints.answered(endpoint)
                self._endpoints.budget.answered()
                return Reply(outcome, endpoint, len(tried), time.monotonic() - sent)
            error = self._judge(outcome, endpoint, ref, len(tried))
            elsewhere = self._endpoints.has_other(tried)
            pause = self._pause(error, outcome, len(tried), elsewhere) if retried else None
            if pause is None or pause >= deadline.remaining() or not self._may_repeat(elsewhere):
                raise error
            if retry.on_retry is not None:
                retry.on_retry(error, pause)
            if pause:
                yield Sleep(pause)

    def _call(self, endpoint: str, method: str, request: bytes, deadline: Deadline) -> Call:
        timeout, attempt = deadline.remaining(), self._settings.retry.attempt_timeout
        if attempt is not None:
            timeout = min(timeout, attempt)
        return Call(endpoint, method, request, timeout, self._settings.headers())

    def _judge(self, failure: Failure, endpoint: str, ref: ModelRef, attempts: int) -> GannetError:
        """The error of an attempt; what it tells of the endpoint is remembered."""
        error = ref.tell(to_error(failure, f"{ref} at {endpoint}", attempts))
        error.endpoint = endpoint
        if isinstance(error, ServerUnreachable | RequestTimeout):
            self._endpoints.failed(endpoint)
        else:
            self._endpoints.answered(endpoint)
        return error

    def _may_repeat(self, elsewhere: bool) -> bool:
        """Whether the budget allows it; to ask where was not asked before costs nothing."""
        return elsewhere or self._endpoints.budget.spend(self._settings.retry.budget)

    def _pause(self, error: GannetError, failure: Failure, attempts: int, elsewhere: bool) -> float | None:
        """Seconds before the next attempt; None: there shall be none."""
        if attempts == self._settings.retry.attempts:
            return None
        if isinstance(error, ModelNotFound):  # while versions roll out, another server may have it
            return 0.0 if elsewhere else None
        if not error.retryable:
            return None
        if failure.pushback is not None:
            return failure.pushback if failure.pushback >= 0 else None
        if elsewhere and not isinstance(error, RequestTimeout):
            return 0.0
        return self._settings.retry.pause(attempts)
