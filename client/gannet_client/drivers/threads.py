"""Drives operations in threads: the shell of `Client`."""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar
from weakref import WeakSet

import grpc

from gannet_client.drivers.connecting import channel_options, closed, credentials, require_interceptors
from gannet_client.drivers.lines import Line, Lines
from gannet_client.operations.effects import Call, Effect, Gather, Operation, Sleep
from gannet_client.operations.failures import Failure
from gannet_client.settings import Settings

T = TypeVar("T")

_ORPHANS: Final[list[object]] = []
"""Channels of a parent process: closing them here would wait for threads that a fork does not bring along."""
_ALL: Final["WeakSet[Channels]"] = WeakSet()


class Channels:
    """One channel to each endpoint, opened by its first call; shared by copies of a client.

    A forked process has new ones.

    Args:
        settings: The client's.
    """

    def __init__(self, settings: Settings) -> None:
        require_interceptors(settings.interceptors, grpc.UnaryUnaryClientInterceptor)
        self._settings = settings
        self._users = 1
        self._begin()
        _ALL.add(self)

    def call(self, call: Call, under_way: "_Calls | None") -> bytes | Failure:
        """Sends a request and waits for what comes of it."""
        line, outcome = self._take(call.endpoint), None
        try:
            stub = line.stub(call.method)
            outcome = _call(stub, call) if under_way is None else under_way.call(stub, call)
            return outcome
        finally:
            self._give_back(line, outcome)

    def share(self) -> "Channels":
        """The same, for one more user."""
        with self._lock:
            self._users += 1
        return self

    def release(self) -> None:
        """Ends the connections when the last user releases them."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for channel in self._lines.channels():
                    channel.close()

    def begin_anew(self) -> None:
        """For a process that was just forked: the lock may be held by a thread that is not there any more."""
        _ORPHANS.append(self._lines)
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._lines: Lines[grpc.Channel] = Lines(self._open)

    def _open(self, target: str) -> grpc.Channel:
        options, tls = channel_options(self._settings, target), self._settings.tls
        if tls is None:
            channel = grpc.insecure_channel(target, options)
        else:
            channel = grpc.secure_channel(target, credentials(tls), options)
        return grpc.intercept_channel(channel, *self._settings.interceptors)

    def _take(self, endpoint: str) -> Line[grpc.Channel]:
        with self._lock:
            if self._users == 0:
                raise closed()
            return self._lines.take(endpoint)

    def _give_back(self, line: Line[grpc.Channel], outcome: bytes | Failure | None) -> None:
        with self._lock:
            unused = self._lines.give_back(line, outcome)
        if unused is not None:
            unused.close()


def _begin_anew() -> None:
    for channels in _ALL:
        channels.begin_anew()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_begin_anew)


class Threads:
    """Runs operations, each in the thread that asks for it, those side by side in threads of their own.

    Args:
        channels: Where calls are sent.
        parallel: How many operations run side by side.
    """

    def __init__(self, channels: Channels, parallel: int) -> None:
        self._channels = channels
        self._parallel = parallel
        self._closed = False

    def run(self, operation: Operation[T], under_way: "_Calls | None" = None) -> T:
        """The result of an operation."""
        try:
            effect = next(operation)
            while True:
                try:
                    outcome = self._perform(effect, under_way)
                except BaseException as error:
                    effect = operation.throw(error)
                else:
                    effect = operation.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def in_order(self, operations: Iterable[Operation[T]]) -> Iterator[T]:
        """The results of operations, in order; later ones are under way, and end when the iterator does."""
        under_way, waiting = _Calls(), deque[Future[T]]()
        with ThreadPoolExecutor(self._parallel, "gannet") as pool:
            try:
                for operation in operations:
                    waiting.append(pool.submit(self.run, operation, under_way))
                    if len(waiting) == self._parallel:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                under_way.cancel()

    def share(self, parallel: int) -> "Threads":
        """Another one over the same connections."""
        self._require_open()
        return Threads(self._channels.share(), parallel)

    def close(self) -> None:
        """Ends the connections, unless others share them; a second time does nothing."""
        if not self._closed:
            self._closed = True
            self._channels.release()

    def _perform(self, effect: Effect, under_way: "_Calls | None") -> Any:
        if isinstance(effect, Call):
            return self._call(effect, under_way)
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds) if under_way is None else under_way.sleep(effect.seconds)
        assert isinstance(effect, Gather)
        if under_way is None:
            return list(self.in_order(effect.operations))
        return [self.run(operation, under_way) for operation in effect.operations]  # beside others already

    def _call(self, call: Call, under_way: "_Calls | None") -> bytes | Failure:
        self._require_open()
        try:
            return self._channels.call(call, under_way)
        except ValueError:  # what gRPC says of a channel that another thread has closed meanwhile
            self._require_open()
            raise

    def _require_open(self) -> None:
        if self._closed:
            raise closed()


def _call(stub: "grpc.UnaryUnaryMultiCallable[bytes, bytes]", call: Call) -> bytes | Failure:
    try:
        return stub(call.request, timeout=call.timeout, metadata=call.metadata)
    except grpc.RpcError as error:
        return Failure.of(error)


class _Calls:
    """Calls under way beside each other, which end together."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._futures: set[grpc.Future[bytes]] = set()

    def call(self, stub: "grpc.UnaryUnaryMultiCallable[bytes, bytes]", call: Call) -> bytes | Failure:
        with self._lock:
            if self._ended.is_set():
                raise CancelledError
            future = stub.future(call.request, timeout=call.timeout, metadata=call.metadata)
            self._futures.add(future)
        try:
            return future.result()
        except grpc.FutureCancelledError:
            raise CancelledError from None
        except grpc.RpcError as error:
            return Failure.of(error)
        except BaseException:  # Ctrl-C: nobody waits for the answer any more
            future.cancel()
            raise
        finally:
            self._futures.discard(future)

    def sleep(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise CancelledError

    def cancel(self) -> None:
        with self._lock:
            self._ended.set()
            for future in list(self._futures):
                future.cancel()
