"""The bodies of HTTP requests, within limits."""

import zlib

import grpc
from starlette.requests import Request

from gannet_serving.status import StatusError, invalid

MAX_BODY_BYTES = 64 << 20
"""JSON takes ten times its size in memory while it is read; gRPC carries what is larger."""
MAX_BYTES_AT_ONCE = 4 * MAX_BODY_BYTES
_GZIP = 16 + zlib.MAX_WBITS


class TooLargeError(Exception):
    """A body beyond MAX_BODY_BYTES."""


class Bodies:
    """The bodies that are in memory at the same time. For one event loop."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """The body of a request, decompressed where the request says that it is gzip.

        Its bytes count until `release` is called with it.

        Raises:
            TooLargeError: It is too large, or will be.
            StatusError: It is not what the request says, or all bodies together are too large.
            ClientDisconnect: The caller has gone.
        """
        if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
            raise TooLargeError
        unpacker = zlib.decompressobj(_GZIP) if _is_packed(request) else None
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                chunks.append(_unpacked(unpacker, chunk, MAX_BODY_BYTES + 1 - size) if unpacker else chunk)
                size += len(chunks[-1])
                self._held += len(chunks[-1])
                self._require_room(size)
        except BaseException:
            self._held -= size
            raise
        return b"".join(chunks)

    def release(self, body: bytes) -> None:
        """The body is no longer needed."""
        self._held -= len(body)

    def _require_room(self, size: int) -> None:
        if size > MAX_BODY_BYTES:
            raise TooLargeError
        if self._held > MAX_BYTES_AT_ONCE:
            raise StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The bodies of all requests are larger than {MAX_BYTES_AT_ONCE} bytes together; try again",
            )


def _is_packed(request: Request) -> bool:
    return request.headers.get("content-encoding", "").lower() == "gzip"


def _unpacked(unpacker: "zlib._Decompress", chunk: bytes, most: int) -> bytes:
    try:
        return unpacker.decompress(chunk, most)
    except zlib.error:
        raise invalid("The body is not gzip, which its Content-Encoding says it is") from None
