"""Whoever waits for an answer."""

import math
from typing import Protocol

import grpc

from gannet_serving.status import StatusError


class Caller(Protocol):
    """What a run needs to know of the call that it is for: `grpc.ServicerContext` is one."""

    def time_remaining(self) -> float:
        """Seconds until the deadline; a huge number if there is none."""

    def is_active(self) -> bool:
        """Whether the caller still waits."""


class _Unhurried:
    def time_remaining(self) -> float:
        return math.inf

    def is_active(self) -> bool:
        return True


UNHURRIED: Caller = _Unhurried()
"""Has no deadline and does not go away: a warm-up record, for instance."""


def require_time_left(caller: Caller) -> None:
    """Ends a call for whose answer nobody waits any more, before it costs a run.

    Raises:
        StatusError: The deadline has passed or the caller has gone.
    """
    if caller.time_remaining() <= 0:
        raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    if not caller.is_active():
        raise StatusError(grpc.StatusCode.CANCELLED, "Cancelled")
