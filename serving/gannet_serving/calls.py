"""A request while it is answered, over gRPC or REST."""

import re
import time
from collections.abc import Callable, Sequence
from itertools import count
from secrets import token_hex

import grpc

from gannet_serving.callers import Caller

REQUEST_ID = "x-request-id"
"""The name of the metadata entry, and of the HTTP header, by which a caller knows its request again."""
_ID = re.compile(r"[!-~]{1,128}")
_PREFIX = token_hex(6)
_numbers = count(1)


def _none() -> int:
    return 0


class Call(Caller):
    """What is known of a request, more of it from step to step.

    Attributes:
        api: The method: `Predict`, `GetModelStatus` and so on.
        entrypoint: `GRPC` or `REST`.
        id: The caller's own name for the request where it has given one that can be logged, or one made here.
        began: When the request was there, by `time.perf_counter`.
        model: The model's name, once it is known that there is one.
        version: Its version; None until one is chosen.
        signature: The signature's name, once it is known that there is one.
        count_rows: Counts the rows, or tf.Examples, that came with it.
        seconds: From `began` until it was answered.
        runtime: Seconds for its run; over gRPC with the tensors read and written.
    """

    def __init__(self, api: str, entrypoint: str, given_id: str | None) -> None:
        self.began = time.perf_counter()
        self.api = api
        self.entrypoint = entrypoint
        self.id = given_id if given_id and _ID.fullmatch(given_id) else f"{_PREFIX}-{next(_numbers)}"
        self.model = ""
        self.version: int | None = None
        self.signature = ""
        self.count_rows: Callable[[], int] = _none
        self.seconds = 0.0
        self.runtime = 0.0

    def time_remaining(self) -> float:
        """Seconds until the deadline; a huge number if there is none."""
        raise NotImplementedError

    def is_active(self) -> bool:
        """Whether the caller still waits."""
        raise NotImplementedError

    def peer(self) -> str:
        """The caller's address."""
        raise NotImplementedError


class GrpcCall(Call):
    """A call over gRPC."""

    def __init__(self, api: str, context: grpc.ServicerContext) -> None:
        metadata = context.invocation_metadata() or ()
        given = next((value for key, value in metadata if key == REQUEST_ID), None)
        super().__init__(api, "GRPC", given if isinstance(given, str) else None)
        context.set_trailing_metadata(((REQUEST_ID, self.id),))
        self._context = context

    def time_remaining(self) -> float:
        """Seconds until the deadline; a huge number if there is none."""
        return self._context.time_remaining()

    def is_active(self) -> bool:
        """Whether the caller still waits."""
        return self._context.is_active()

    def peer(self) -> str:
        """The caller's address, as gRPC writes it."""
        return self._context.peer()


class RestCall(Call):
    """A request over HTTP."""

    def __init__(self, given_id: str | None, peer: str, timeout: float) -> None:
        super().__init__("", "REST", given_id)
        self._peer = peer
        self._deadline = time.monotonic() + timeout

    def time_remaining(self) -> float:
        """Seconds until it must be answered."""
        return self._deadline - time.monotonic()

    def is_active(self) -> bool:
        """True: HTTP tells nothing of it."""
        return True

    def peer(self) -> str:
        """The caller's address."""
        return self._peer


Recorders = Sequence[Callable[[Call, grpc.StatusCode], None]]
"""What takes note of each call that is over."""


def record(recorders: Recorders, call: Call, code: grpc.StatusCode) -> None:
    """Lets all of them take note of a call that ends now."""
    call.seconds = time.perf_counter() - call.began
    for recorder in recorders:
        recorder(call, code)
