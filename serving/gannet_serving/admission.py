"""How many calls are worked on at once."""

from collections import deque

import grpc

from gannet_serving.status import StatusError


class Admission:
    """Lets so many calls in at once and refuses the rest, which must not pile up behind them.

    Used as a context manager, from any thread.

    >>> slots = Admission(1)
    >>> with slots:
    ...     slots.in_use
    1
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = deque(range(most))  # taking and giving back are atomic, and cheaper than a lock

    @property
    def in_use(self) -> int:
        """How many calls are in at this moment."""
        return self._most - len(self._free)

    def __enter__(self) -> None:
        try:
            self._free.pop()
        except IndexError:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted") from None

    def __exit__(self, *outcome: object) -> None:
        self._free.append(0)
