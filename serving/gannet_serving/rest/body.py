"""The body of an HTTP request, within a limit."""

import zlib

from starlette.requests import Request

from gannet_serving.status import invalid

MAX_BODY_BYTES = 64 << 20
"""JSON takes ten times its size in memory while it is read; gRPC carries what is larger."""
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request) -> bytes | None:
    """The body, decompressed where the request says that it is gzip; None as soon as it is too large.

    Raises:
        StatusError: It is not what the request says.
        ClientDisconnect: The caller has gone.
    """
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        return None
    is_packed = request.headers.get("content-encoding", "").lower() == "gzip"
    unpacker = zlib.decompressobj(_GZIP) if is_packed else None
    chunks, left = [], MAX_BODY_BYTES
    async for chunk in request.stream():
        try:
            chunks.append(unpacker.decompress(chunk, left + 1) if unpacker else chunk)
        except zlib.error:
            raise invalid("The body is not gzip, which its Content-Encoding says it is") from None
        left -= len(chunks[-1])
        if left < 0:
            return None
    return b"".join(chunks)
