"""The connections of a client: one to each endpoint, left for a new one when it falls silent."""

import time
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import grpc

from gannet_client.drivers.connecting import CONNECT_SECONDS
from gannet_client.operations.failures import Failure

_SILENT_AFTER: Final = 2


class Channel(Protocol):
    """What synchronous and asynchronous channels have in common."""

    def unary_unary(self, method: str) -> Any:
        """What calls a method of one request and one response."""


ChannelT = TypeVar("ChannelT", bound=Channel)


class Line(Generic[ChannelT]):
    """A channel to an endpoint, and the calls on it.

    Args:
        endpoint: The address.
        channel: The channel.
    """

    def __init__(self, endpoint: str, channel: ChannelT) -> None:
        self.endpoint = endpoint
        self.channel = channel
        self.calls = 0
        self._late = 0
        self._settled = False
        self._opened = time.monotonic()
        self._stubs: dict[str, Any] = {}

    def stub(self, method: str) -> Any:
        """What calls a method with the bytes of a message."""
        return self._stubs.get(method) or self._stubs.setdefault(method, self.channel.unary_unary(method))

    def is_silent(self, outcome: bytes | Failure | None) -> bool:
        """Whether, after this outcome, calls have run out of time in a row with nothing answered between.

        The pieces of one request share its time: the first that runs out of it has the others given up, which
        waited as long. A line that is new may only be slow to connect; it would never come about if it was
        left for that.
        """
        if outcome is None:
            self._late += self._late > 0
        elif isinstance(outcome, Failure) and outcome.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._late += 1
        else:
            self._late, self._settled = 0, self._settled or isinstance(outcome, bytes)
        is_new = not self._settled and time.monotonic() - self._opened < CONNECT_SECONDS
        return self._late >= _SILENT_AFTER and not is_new


class Lines(Generic[ChannelT]):
    """The lines of one process or event loop; a driver of threads puts a lock around them.

    A connection that a network drops without a word is noticed by nobody but those who wait for answers. So
    the second call in a row that ran out of time leaves the line: the next call takes a new one, those that
    are under way end on the old one, and the last of them closes it. Of several servers behind one name, one
    that is silent is left to the options of the channel.

    Args:
        open_channel: Opens a channel to an endpoint.
    """

    def __init__(self, open_channel: Callable[[str], ChannelT]) -> None:
        self._open = open_channel
        self._in_use: dict[str, Line[ChannelT]] = {}
        self._left: set[Line[ChannelT]] = set()

    def take(self, endpoint: str) -> Line[ChannelT]:
        """The line for a call that begins, which gives it back."""
        line = self._in_use.get(endpoint)
        if line is None:
            line = self._in_use[endpoint] = Line(endpoint, self._open(endpoint))
        line.calls += 1
        return line

    def give_back(self, line: Line[ChannelT], outcome: bytes | Failure | None) -> ChannelT | None:
        """Ends a call, whose outcome is None if it was given up; returns a channel that is to be closed."""
        line.calls -= 1
        if line.is_silent(outcome) and self._in_use.get(line.endpoint) is line:
            self._left.add(self._in_use.pop(line.endpoint))
        if line.calls or line not in self._left:
            return None
        self._left.remove(line)
        return line.channel

    def channels(self) -> list[ChannelT]:
        """All that are open."""
        return [line.channel for line in (*self._in_use.values(), *self._left)]
