"""REST over HTTP, on an event loop in a thread of its own."""

import asyncio
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Thread

import grpc
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gannet_serving.address import cannot_listen, joined
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.rest.api import RestApi
from gannet_serving.rest.body import MAX_BODY_BYTES, read_body
from gannet_serving.rest.paths import PREFIX
from gannet_serving.rest.responses import write_error
from gannet_serving.status import StatusError

_KEEP_ALIVE_SECONDS = 60
_SHORTEST_GRACE = 0.1
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
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


class RestServer:
    """Answers TensorFlow Serving's REST API for the models of a manager.

    Attributes:
        address: `HOST:PORT` that it listens on; set by `start`.
    """

    def __init__(self, manager: ModelManager, options: ServerOptions) -> None:
        """Prepares; `start` opens the port.

        Args:
            manager: Finds the models.
            options: Tell where to listen, how long to work on a request, and on how many at once.
        """
        self._api = RestApi(manager, options)
        self._host, self._port = options.host, options.rest_api_port
        self._timeout = options.rest_api_timeout_in_ms / 1000
        self._threads = ThreadPoolExecutor(options.rest_api_num_threads, thread_name_prefix="rest")
        self._server = uvicorn.Server(self._config())
        self._thread = Thread(target=self._run, name="rest", daemon=True)
        self.address = joined(self._host, self._port)

    def start(self) -> None:
        """Opens the port and begins to answer.

        Raises:
            UsageError: The port cannot be opened.
        """
        self._socket = self._listen()
        self.address = joined(self._host, self._socket.getsockname()[1])
        self._thread.start()
        _log.info("listening on http://%s/v1", self.address)

    def stop(self, grace: float) -> None:
        """Takes no more requests, and returns when those that run are answered or `grace` seconds passed."""
        self._server.config.timeout_graceful_shutdown = max(grace, _SHORTEST_GRACE)  # type: ignore[assignment]
        self._server.should_exit = True
        self._thread.join()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _config(self) -> uvicorn.Config:
        app = Starlette(routes=[Route("/{path:path}", self._respond, methods=_METHODS)])
        return uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            return socket.create_server((self._host, self._port), family=family, backlog=1024)
        except OSError as error:
            address = joined(self._host, self._port)
            reason = (error.strerror or "").partition(" (while")[0]  # the address is in the message already
            raise cannot_listen(address, reason, "--rest_api_port") from None

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    async def _respond(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        if not PREFIX.fullmatch(path):
            return _response(404, write_error("Not Found; the API lies below /v1/models"))
        try:
            body = await read_body(request)
        except StatusError as error:
            return _refusal(error)
        except ClientDisconnect:
            return _response(499, "")
        if body is None:
            return _response(
                413, write_error(f"The body is too large; expected at most {MAX_BODY_BYTES} bytes")
            )
        return await self._answer(request.method, path, body)

    async def _answer(self, method: str, path: str, body: bytes) -> Response:
        call = _RestCall(time.monotonic() + self._timeout)
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._api.answer, method, path, body, call
        )
        try:
            return _response(200, await asyncio.wait_for(work, self._timeout))
        except StatusError as error:
            return _refusal(error)
        except TimeoutError:
            return _response(504, write_error("Timed out waiting for notification"))
        except Exception:
            _log.exception("a request failed for a reason that is not the caller's")
            return _response(500, write_error("Internal error; the reason is in the server's log."))


@dataclass(frozen=True)
class _RestCall:
    """A request and when it must be answered."""

    deadline: float

    def time_remaining(self) -> float:
        return self.deadline - time.monotonic()

    def is_active(self) -> bool:
        return True


def _refusal(error: StatusError) -> Response:
    return _response(_HTTP_CODES.get(error.code, 500), write_error(error.message))


def _response(code: int, text: str) -> Response:
    return Response(text.encode(errors="surrogateescape"), code, media_type="application/json")
