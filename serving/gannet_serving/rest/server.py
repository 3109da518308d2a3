"""REST over HTTP, on an event loop in a thread of its own."""

import logging
import socket
from threading import Thread

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from gannet_serving.address import cannot_listen, joined
from gannet_serving.rest.app import RestApp

_KEEP_ALIVE_SECONDS = 60
_SHORTEST_GRACE = 0.1
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
_log = logging.getLogger(__name__)


class RestServer:
    """Gives an application to a port.

    Attributes:
        address: `HOST:PORT` that it listens on; set by `start`.
    """

    def __init__(self, app: RestApp, host: str, port: int) -> None:
        """Prepares; `start` opens the port.

        Args:
            app: Answers the requests.
            host: The interface to listen on.
            port: 0 for any that is free.
        """
        self._app = app
        self._host, self._port = host, port
        self._server = uvicorn.Server(self._config())
        self._thread = Thread(target=self._run, name="rest", daemon=True)
        self.address = joined(host, port)

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
        self._app.close()

    def _config(self) -> uvicorn.Config:
        routes = [Route("/{path:path}", self._app.respond, methods=_METHODS)]
        return uvicorn.Config(
            Starlette(routes=routes),
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
            raise cannot_listen(address, reason) from None

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
