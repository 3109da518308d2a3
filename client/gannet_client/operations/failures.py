"""From what gRPC reports to what the user is told: the one table of it."""

import re
from dataclasses import dataclass
from typing import Any, Final

import grpc

from gannet_client.errors import (
    AccessDenied,
    AnswerTooLarge,
    GannetError,
    ModelError,
    ModelNotFound,
    RequestRejected,
    RequestTimeout,
    ServerOverloaded,
    ServerUnreachable,
    TooManyRows,
    UsageError,
)

_DETAILS_LENGTH: Final = 400
_LIMIT: Final = re.compile(r"maximum input batch size (\d+)")
_PUSHBACK: Final = "grpc-retry-pushback-ms"


@dataclass(frozen=True)
class Failure:
    """How a call failed: gRPC's code, its text in one line, and the server's wish for the next attempt.

    Attributes:
        code: gRPC's.
        details: Its text, in one line.
        pushback: Seconds to wait before another attempt; negative: there shall be none; None: no wish.
    """

    code: grpc.StatusCode
    details: str = ""
    pushback: float | None = None

    @classmethod
    def of(cls, error: grpc.RpcError) -> "Failure":
        """Reads what gRPC raised, of a synchronous or an asynchronous call."""
        details = " ".join((error.details() or "").split())
        trailing: Any = error.trailing_metadata() or ()
        wishes = [value for key, value in trailing if key == _PUSHBACK]
        return cls(error.code(), details, _seconds(wishes[0]) if wishes else None)


@dataclass(frozen=True)
class _Row:
    """A status `code` (None: any) whose text contains `text` means `error`, to be worded as `advice`."""

    code: grpc.StatusCode | None
    text: str
    error: type[GannetError]
    advice: str


_NO_VERSION: Final = "no such model or version is served; check the name, the version and the server's state"
_OVERLOADED: Final = "the server is overloaded; call again later"
_DENIED: Final = "the server refuses access; check the token and the client's certificate"
_HTTP: Final = "this port speaks HTTP; ask the server's port for gRPC, 8500 by default"
_CERTIFICATE: Final = "the server's certificate is not trusted; check the authority and the name in `tls`"

# The first row that fits counts. The texts are TensorFlow Serving's and gRPC's own.
_TABLE: Final = (
    _Row(grpc.StatusCode.UNAVAILABLE, "batch scheduling queue", ServerOverloaded, _OVERLOADED),
    _Row(grpc.StatusCode.UNAVAILABLE, "Model labels", ModelNotFound, _NO_VERSION),
    _Row(grpc.StatusCode.UNAVAILABLE, "CERTIFICATE_VERIFY_FAILED", ServerUnreachable, _CERTIFICATE),
    _Row(grpc.StatusCode.UNAVAILABLE, "Hostname Verification Check failed", ServerUnreachable, _CERTIFICATE),
    _Row(grpc.StatusCode.UNAVAILABLE, "http1.x server", ServerUnreachable, _HTTP),
    _Row(
        grpc.StatusCode.UNAVAILABLE,
        "",
        ServerUnreachable,
        "no server answers; check the address, that the server runs, and whether both or neither use TLS",
    ),
    _Row(grpc.StatusCode.NOT_FOUND, "", ModelNotFound, _NO_VERSION),
    _Row(
        grpc.StatusCode.INVALID_ARGUMENT,
        "servable version label",
        ModelNotFound,
        "no such version label; check the label or ask for a version by number",
    ),
    _Row(
        grpc.StatusCode.INVALID_ARGUMENT,
        "maximum input batch size",
        TooManyRows,
        "the server takes fewer rows at once; split the request",
    ),
    _Row(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Serving signature",
        ModelError,
        "the model has no such signature; Client.metadata() lists those it has",
    ),
    _Row(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "",
        RequestTimeout,
        "no complete answer in time; ask for less at once or allow a longer timeout",
    ),
    _Row(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "message larger than max",
        AnswerTooLarge,
        "a message is larger than is accepted; raise max_message_bytes or ask for less at once",
    ),
    _Row(grpc.StatusCode.RESOURCE_EXHAUSTED, "", ServerOverloaded, _OVERLOADED),
    _Row(grpc.StatusCode.UNAUTHENTICATED, "", AccessDenied, _DENIED),
    _Row(grpc.StatusCode.PERMISSION_DENIED, "", AccessDenied, _DENIED),
    _Row(
        grpc.StatusCode.UNIMPLEMENTED,
        "",
        RequestRejected,
        "the server does not know this call; check that the address is TensorFlow Serving's gRPC port",
    ),
    _Row(grpc.StatusCode.CANCELLED, "Channel closed", UsageError, "the client was closed during the call"),
    _Row(None, "", RequestRejected, "the server refused or failed the request"),
)


def to_error(failure: Failure, where: str, attempts: int) -> GannetError:
    """The error for a failed call, in one line that begins with `where`, the model and its address."""
    row = next(row for row in _TABLE if row.code in (failure.code, None) and row.text in failure.details)
    tried = f" after {attempts} attempts" if attempts > 1 else ""
    error = row.error(
        f"{where}: {row.advice} ({failure.code.name}{tried}: {failure.details[:_DETAILS_LENGTH]})"
    )
    error.advice = row.advice
    error.attempts = attempts
    if isinstance(error, TooManyRows) and (match := _LIMIT.search(failure.details)):
        error.limit = int(match[1])
    return error


def _seconds(wish: str | bytes) -> float:
    """What gRPC makes of the wish: whatever is no number of milliseconds forbids another attempt."""
    try:
        return int(wish) / 1000
    except ValueError:
        return -1.0
