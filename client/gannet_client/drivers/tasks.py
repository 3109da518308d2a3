"""Drives operations in an event loop: the shell of `AsyncClient`."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from typing import Any, TypeVar

from grpc import aio

from gannet_client.drivers.connecting import channel_options, closed, credentials, require_interceptors
from gannet_client.drivers.lines import Lines
from gannet_client.operations.effects import Call, Effect, Gather, Operation, Sleep
from gannet_client.operations.failures import Failure
from gannet_client.settings import Settings

T = TypeVar("T")


class AioChannels:
    """One channel to each endpoint, opened by the first call in each event loop.

    Args:
        settings: The client's.
    """

    def __init__(self, settings: Settings) -> None:
        require_interceptors(settings.interceptors, aio.UnaryUnaryClientInterceptor)
        self._settings = settings
        self._users = 1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: Lines[aio.Channel] = Lines(self._open)

    async def call(self, call: Call) -> bytes | Failure:
        """Sends a request and waits for what comes of it."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # another thread or `asyncio.run`; gRPC binds a channel to its loop
            self._loop, self._lines = loop, Lines(self._open)
        lines, outcome = self._lines, None
        line = lines.take(call.endpoint)
        try:
            outcome = await _call(line.stub(call.method), call)
            return outcome
        finally:
            unused = lines.give_back(line, outcome)
            if unused is not None:
                await unused.close()

    def share(self) -> "AioChannels":
        """The same, for one more user."""
        self._users += 1
        return self

    async def release(self) -> None:
        """Ends the connections when the last user releases them."""
        self._users -= 1
        if self._users == 0 and self._loop is asyncio.get_running_loop():
            for channel in self._lines.channels():
                await channel.close()

    def _open(self, target: str) -> aio.Channel:
        settings = self._settings
        options, interceptors = channel_options(settings, target), list(settings.interceptors)
        if settings.tls is None:
            return aio.insecure_channel(target, options, interceptors=interceptors)
        return aio.secure_channel(target, credentials(settings.tls), options, interceptors=interceptors)


class Tasks:
    """Runs operations, those side by side in tasks of their own.

    Args:
        channels: Where calls are sent.
        parallel: How many operations run side by side.
    """

    def __init__(self, channels: AioChannels, parallel: int) -> None:
        self._channels = channels
        self._parallel = parallel
        self._closed = False

    async def run(self, operation: Operation[T], *, beside: bool = False) -> T:
        """The result of an operation, which may run beside others already."""
        try:
            effect = next(operation)
            while True:
                try:
                    outcome = await self._perform(effect, beside)
                except BaseException as error:
                    effect = operation.throw(error)
                else:
                    effect = operation.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def in_order(self, operations: Iterable[Operation[T]]) -> AsyncGenerator[T, None]:
        """The results of operations, in order; later ones are under way, and end when the iterator does."""
        waiting = deque[asyncio.Task[T]]()
        try:
            for operation in operations:
                waiting.append(asyncio.create_task(self.run(operation, beside=True)))
                if len(waiting) == self._parallel:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def share(self, parallel: int) -> "Tasks":
        """Another one over the same connections."""
        self._require_open()
        return Tasks(self._channels.share(), parallel)

    async def close(self) -> None:
        """Ends the connections, unless others share them; a second time does nothing."""
        if not self._closed:
            self._closed = True
            await self._channels.release()

    async def _perform(self, effect: Effect, beside: bool) -> Any:
        if isinstance(effect, Call):
            self._require_open()
            return await self._call(effect)
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        assert isinstance(effect, Gather)
        if not beside:
            return [result async for result in self.in_order(effect.operations)]
        return [await self.run(operation, beside=True) for operation in effect.operations]

    async def _call(self, call: Call) -> bytes | Failure:
        try:
            return await self._channels.call(call)
        except asyncio.CancelledError:  # also what gRPC says of a channel that another task has closed
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                self._require_open()
            raise

    def _require_open(self) -> None:
        if self._closed:
            raise closed()


async def _call(stub: "aio.UnaryUnaryMultiCallable[bytes, bytes]", call: Call) -> bytes | Failure:
    try:
        return await stub(call.request, timeout=call.timeout, metadata=call.metadata)
    except aio.AioRpcError as error:
        return Failure.of(error)
