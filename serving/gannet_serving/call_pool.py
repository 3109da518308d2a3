"""The threads of the gRPC server.

This is the only file that knows what the server of grpcio hands to its pool.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread, get_ident
from typing import Any

SPARE_THREADS = 32
"""Beyond those that compute: for refusals, health, status, and messages that are still on their way."""
_LOOK_SECONDS = 0.25
_PATIENCE = 4
"""The looks that a message may take: not seconds, for when this process is too busy, callers are not late."""


class CallPool(ThreadPoolExecutor):
    """Threads that callers cannot keep from each other.

    A thread of grpcio waits until its call's message has come as a whole. When other calls wait for a
    thread, a call whose message has not come within a second or so is cancelled: otherwise a few callers
    that begin and never send could take every thread. And the newest call goes first, so that a thousand
    of those cannot stand before it.
    """

    def __init__(self, calls: int) -> None:
        """Creates threads as they are needed.

        Args:
            calls: How many calls may be computed at once.
        """
        super().__init__(calls + SPARE_THREADS, thread_name_prefix="rpc")
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._receiving: dict[int, _Arrival] = {}
        self._ended = Event()
        Thread(target=self._watch, name="rpc-watch", daemon=True).start()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs the work of a call once a thread is free; what comes later goes before what still waits."""
        self._waiting.append((work, args))
        return super().submit(self._run_newest)

    def received(self) -> None:
        """To be called by the thread of a call: its message is there."""
        self._receiving.pop(get_ident(), None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads."""
        self._ended.set()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _run_newest(self) -> Any:
        work, args = self._waiting.pop()
        self._receiving[get_ident()] = _Arrival(args)
        try:
            return work(*args)
        finally:
            self.received()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for arrival in list(self._receiving.values()):
                arrival.looks += 1
                if arrival.looks > _PATIENCE and self._waiting:
                    arrival.cancel()


class _Arrival:
    """A call whose message is on its way."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self._args = args
        self.looks = 0

    def cancel(self) -> None:
        for event in self._args:
            if hasattr(event, "call_details"):
                event.call.cancel()
