"""The threads of the gRPC server.

This is the only file that knows what the server of grpcio hands to its pool, and what it asks of one.
"""

import atexit
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from threading import Event, Thread, current_thread, get_ident
from typing import Any

from gannet_client.errors import GannetError

SPARE_THREADS = 32
"""Beyond those that compute: for refusals, health, status, and messages that are still on their way."""
_LOOK_SECONDS = 0.25
_AGAIN_SECONDS = 1.0
_PATIENCE = 12
"""The looks that a message may take: not seconds, for when this process is too busy, callers are not late."""
_FEW_THREADS = "the system allows no more than %d threads for calls; trying again later"
_NO_THREAD = "the system allows no thread for calls; raise its limit (ulimit -u, or Docker's --pids-limit)"

_log = logging.getLogger(__name__)
_Work = tuple[Callable[..., Any], tuple[Any, ...]]


class CallPool:
    """Threads that callers cannot keep from each other.

    A thread of grpcio waits until its call's message has come as a whole. When other calls wait for a
    thread for three seconds, calls whose message has not come in as long are cancelled: otherwise a few
    callers that begin and never send could take every thread. And the newest call goes first, so that a
    thousand of those cannot stand before it.

    An executor of the standard library would raise into grpcio's loop, and so end it, where the system
    allows no further thread; here, those that there are do the work, and another one is tried later.
    """

    def __init__(self, calls: int) -> None:
        """Starts one thread; the others come as they are needed.

        Args:
            calls: How many calls may be computed at once.

        Raises:
            GannetError: The system allows not even that one.
        """
        self._most = calls + SPARE_THREADS
        self._threads: list[Thread] = []
        self._again_at = 0.0
        self._unfinished: deque[None] = deque()  # changed in single steps, which is cheaper than a lock
        self._waiting: deque[_Work] = deque()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._numbers = count()
        self._receiving: dict[int, tuple[int, tuple[Any, ...]]] = {}
        self._ended = Event()
        try:
            self._start_thread()
            Thread(target=self._watch, name="rpc-watch", daemon=True).start()
        except RuntimeError:
            self.shutdown()
            raise GannetError(_NO_THREAD) from None
        atexit.register(_end, self._wake, self._threads)

    def submit(self, work: Callable[..., Any], /, *args: Any) -> None:
        """Runs the work of a call once a thread is free; what comes later goes before what still waits.

        For one thread at a time, which is how grpcio calls it.
        """
        self._unfinished.append(None)
        if len(self._threads) < min(len(self._unfinished), self._most):
            self._add_thread()
        self._waiting.append((work, args))
        self._wake.put(True)

    def received(self) -> None:
        """To be called by the thread of a call: its message is there."""
        self._receiving.pop(get_ident(), None)

    def shutdown(self) -> None:
        """Ends the threads, each once its call has ended."""
        self._ended.set()
        self._wake.put(False)

    def _add_thread(self) -> None:
        now = time.monotonic()
        if now < self._again_at:
            return
        try:
            self._start_thread()
        except RuntimeError:
            if not self._again_at:
                _log.warning(_FEW_THREADS, len(self._threads))
            self._again_at = now + _AGAIN_SECONDS
        else:
            self._again_at = 0.0

    def _start_thread(self) -> None:
        thread = Thread(target=self._work, name=f"rpc_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.remove(thread)
            raise

    def _work(self) -> None:
        while self._wake.get():
            self._run(*self._waiting.pop())
            self._unfinished.pop()
        self._wake.put(False)
        self._threads.remove(current_thread())

    def _run(self, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._receiving[get_ident()] = next(self._numbers), args
        try:
            work(*args)
        except BaseException:
            _log.exception("a call failed")
        finally:
            self.received()

    def _watch(self) -> None:
        looks: dict[int, int] = {}
        short_of_threads = 0
        while not self._ended.wait(_LOOK_SECONDS):
            receiving = dict(list(self._receiving.values()))
            looks = {number: looks.get(number, 0) + 1 for number in receiving}
            short_of_threads = short_of_threads + 1 if self._waiting else 0
            for number, args in receiving.items():
                if min(looks[number], short_of_threads) > _PATIENCE:
                    _cancel(args)
            del receiving


def _cancel(args: tuple[Any, ...]) -> None:
    for event in args:
        if hasattr(event, "call_details"):
            event.call.cancel()


def _end(wake: "SimpleQueue[bool]", threads: list[Thread]) -> None:
    """Before the process ends: TensorFlow would abort it if its threads were lost in the middle of a run."""
    wake.put(False)
    for thread in list(threads):
        thread.join()
