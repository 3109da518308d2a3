"""From what gRPC reports to what the user is told: the one table of it."""

from dataclasses import dataclass
from typing import Final

import grpc

from gannet_client.errors import (
    GannetError,
    ModelError,
    RequestRejected,
    RequestTimeout,
    ServerUnreachable,
)

_DETAILS_LENGTH: Final = 400


@dataclass(frozen=True)
class _Row:
    """A status `code` (None: any) whose text contains `text` means `error`, to be worded as `advice`."""

    code: grpc.StatusCode | None
    text: str
    error: type[GannetError]
    advice: str


_NO_VERSION: Final = "no such model or version is served; check the name, the version and the server's state"

# The first row that fits counts. The texts are TensorFlow Serving's and gRPC's own.
_TABLE: Final = (
    _Row(
        grpc.StatusCode.UNAVAILABLE,
        "batch scheduling queue",
        RequestRejected,
        "the server is overloaded; call again later",
    ),
    _Row(grpc.StatusCode.UNAVAILABLE, "Model labels", ModelError, _NO_VERSION),
    _Row(
        grpc.StatusCode.UNAVAILABLE,
        "",
        ServerUnreachable,
        "no server answers; check the address and that the server runs",
    ),
    _Row(grpc.StatusCode.NOT_FOUND, "", ModelError, _NO_VERSION),
    _Row(
        grpc.StatusCode.INVALID_ARGUMENT,
        "servable version label",
        ModelError,
        "no such version label; check the label or ask for a version by number",
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
        RequestRejected,
        "the answer is larger than the client accepts; raise max_message_bytes",
    ),
    _Row(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "",
        RequestRejected,
        "the server is overloaded; call again later",
    ),
    _Row(
        grpc.StatusCode.UNIMPLEMENTED,
        "",
        RequestRejected,
        "the server does not know this call; check that the address is TensorFlow Serving's gRPC port",
    ),
    _Row(None, "", RequestRejected, "the server refused or failed the request"),
)


def to_error(failure: grpc.RpcError, where: str) -> GannetError:
    """The error for a failed call, in one line that begins with `where`, the model and its address."""
    code, details = failure.code(), " ".join((failure.details() or "").split())
    row = next(row for row in _TABLE if row.code in (code, None) and row.text in details)
    return row.error(f"{where}: {row.advice} ({code.name}: {details[:_DETAILS_LENGTH]})")
