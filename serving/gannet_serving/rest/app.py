"""What HTTP adds to the REST API: codes, headers, limits."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gannet_serving.address import joined
from gannet_serving.admission import Admission
from gannet_serving.calls import REQUEST_ID, Recorders, RestCall, record
from gannet_serving.options import ServerOptions
from gannet_serving.rest.api import RestApi
from gannet_serving.rest.body import MAX_BODY_BYTES, Bodies, TooLargeError
from gannet_serving.rest.paths import PREFIX
from gannet_serving.rest.responses import write_error
from gannet_serving.status import StatusError

_SPARE_THREADS = 4
"""Beyond those that compute: for refusals, status and signatures."""
_HTTP_CODES = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_log = logging.getLogger(__name__)
Page = Callable[[], str]


class RestApp:
    """Answers HTTP requests; for one event loop.

    Attributes:
        slots: Held by each prediction that runs.
    """

    def __init__(
        self, api: RestApi, options: ServerOptions, recorders: Recorders, pages: dict[str, Page]
    ) -> None:
        """Prepares.

        Args:
            api: Answers what lies below /v1.
            options: Tell how long to work on a request, and on how many at once.
            recorders: Take note of each request once it is answered.
            pages: Plain text that is made anew for each GET, by path.
        """
        self._api = api
        self._timeout = options.rest_api_timeout_in_ms / 1000
        self.slots = Admission(options.rest_api_num_threads)
        self._threads = ThreadPoolExecutor(
            options.rest_api_num_threads + _SPARE_THREADS, thread_name_prefix="rest"
        )
        self._bodies = Bodies()
        self._recorders = recorders
        self._pages = pages

    async def respond(self, request: Request) -> Response:
        """The response to a request."""
        path = request.scope["raw_path"].decode("latin-1")
        if request.method == "GET" and path in self._pages:
            return Response(await self._in_thread(self._pages[path]), media_type="text/plain")
        peer = joined(*request.client) if request.client else ""
        call = RestCall(request.headers.get(REQUEST_ID), peer, self._timeout)
        http_code, text, code = await self._answer(request, path, call)
        record(self._recorders, call, code)
        return _response(http_code, text, {REQUEST_ID: call.id})

    def close(self) -> None:
        """Ends the threads; what runs runs on."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: Request, path: str, call: RestCall) -> tuple[int, str, grpc.StatusCode]:
        if not PREFIX.fullmatch(path):
            text = "Not Found; the API lies below /v1/models"
            return 404, write_error(text), grpc.StatusCode.NOT_FOUND
        try:
            body = await asyncio.wait_for(self._bodies.read(request), self._timeout)
            try:
                return 200, await self._compute(request.method, path, body, call), grpc.StatusCode.OK
            finally:
                self._bodies.release(body)
        except StatusError as error:
            return _HTTP_CODES.get(error.code, 500), write_error(error.message), error.code
        except TooLargeError:
            text = f"The body is too large; expected at most {MAX_BODY_BYTES} bytes"
            return 413, write_error(text), grpc.StatusCode.RESOURCE_EXHAUSTED
        except ClientDisconnect:
            return 499, "", grpc.StatusCode.CANCELLED
        except TimeoutError:
            text = "The request did not come within its time"
            return 408, write_error(text), grpc.StatusCode.DEADLINE_EXCEEDED
        except Exception:
            _log.exception("request %s: failed for a reason that is not the caller's", call.id)
            text = "Internal error; the reason is in the server's log."
            return 500, write_error(text), grpc.StatusCode.INTERNAL

    async def _compute(self, method: str, path: str, body: bytes, call: RestCall) -> str:
        def work() -> str:
            with self.slots if method == "POST" else nullcontext():
                return self._api.answer(method, path, body, call)

        try:
            return await asyncio.wait_for(self._in_thread(work), call.time_remaining())
        except TimeoutError:
            raise StatusError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification"
            ) from None

    def _in_thread(self, work: Callable[[], str]) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


def _response(code: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(_encoded(text), code, headers=headers, media_type="application/json")


def _encoded(text: str) -> bytes:
    """The bytes that were sent come back as they were; half a surrogate pair was never any bytes."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="replace")
