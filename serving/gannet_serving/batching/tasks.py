"""A request's rows on their way through a queue."""

import threading
import time
from collections.abc import Sequence
from threading import Lock

from gannet_client.codec import Array
from gannet_serving.callers import Caller, require_time_left


class Task:
    """The rows of one request, or a part of them, until they are answered.

    Attributes:
        values: The inputs, one array each, of `rows` rows.
        rows: Their size.
        call: On whose behalf.
        since: When it came, by `time.monotonic`.
    """

    def __init__(self, values: Sequence[Array], rows: int, call: Caller) -> None:
        self.values = values
        self.rows = rows
        self.call = call
        self.since = time.monotonic()
        self._outcome: Sequence[Array] | BaseException = ()
        self._unanswered = Lock()
        self._unanswered.acquire()

    def answer(self, outcome: Sequence[Array] | BaseException) -> None:
        """Hands over the outputs, or what went wrong. Called once."""
        self._outcome = outcome
        self._unanswered.release()

    def result(self) -> Sequence[Array]:
        """Waits for the answer, but not beyond the call's deadline.

        Raises:
            StatusError: Something went wrong, or the deadline has passed.
        """
        left = min(self.call.time_remaining(), threading.TIMEOUT_MAX)
        if not self._unanswered.acquire(timeout=max(left, 0)):
            require_time_left(self.call)
            return self.result()  # the two clocks disagree
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome
