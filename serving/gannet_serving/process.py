"""A server as a process: its log, its signals, its life from the first load to the last request."""

import faulthandler
import logging
import os
import signal
import time
from collections.abc import Callable

from gannet_client.errors import UsageError
from gannet_client.extras import require
from gannet_serving.address import require_free
from gannet_serving.engine import import_tensorflow
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.status import StatusError

_GRACE_SECONDS = 8.0
"""Time for running requests after a signal: less than the 10 seconds after which `docker stop` kills."""
_LAST_WAIT_SECONDS = 1.0
_POLL_SECONDS = 0.1
_INTERRUPTED = 130

_log = logging.getLogger(__name__)


def require_libraries() -> None:
    """Notices at once what would otherwise fail each load, out of the user's sight.

    Raises:
        MissingExtra: TensorFlow or the messages of TensorFlow Serving are not installed.
    """
    require(
        "serve", "tensorflow", "tensorflow_serving", "grpc_health", "grpc_reflection", "starlette", "uvicorn"
    )


def configure_logging() -> None:
    """Sends the log to stderr, one line per event, and the Python stack there should the process crash.

    The stream is a copy of stderr, because the original is muted while TensorFlow is imported.
    """
    stream = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    logging.basicConfig(stream=stream, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("gannet_serving").setLevel(logging.INFO)
    faulthandler.enable(stream)


class StopSignal:
    """SIGTERM or SIGINT: the first asks for an orderly end, a second one ends the process at once.

    Attributes:
        number: The signal that came; None before.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def wait(self) -> None:
        """Waits for the signal.

        In short naps, because any thread of gRPC or TensorFlow may take a signal; Python's handler then runs
        when this one wakes.
        """
        while self.number is None:
            time.sleep(_POLL_SECONDS)

    def _handle(self, number: int, frame: object) -> None:
        if self.number is not None:
            os._exit(128 + number)
        self.number = number


def run(
    manager: ModelManager,
    options: ServerOptions,
    *,
    settled: Callable[[], None] = lambda: None,
    ready: Callable[[str], None] = lambda address: None,
) -> int:
    """Serves the models of `manager` until SIGTERM or SIGINT comes and what runs then has ended.

    As with TensorFlow Serving the port stays closed until every model was loaded or has failed: an open port
    means a server that is ready.

    Args:
        manager: The models; started and stopped here.
        options: Where to listen, and all else that the server is to do.
        settled: Called before the port is opened; may raise to call it off.
        ready: Called with `HOST:PORT` once the port is open.

    Returns:
        The exit code: 0 after SIGTERM, 130 after SIGINT. When work is left that cannot be interrupted (a
        model being loaded, a request beyond its grace), the process ends here instead.

    Raises:
        UsageError: The port cannot be opened, or the configuration of the models is refused.
    """
    stop = StopSignal()
    if options.port is not None:
        require_free(options.host, options.port)
    _start(manager)
    try:
        while stop.number is None and not manager.wait_until_settled(_POLL_SECONDS):
            pass
        if stop.number is None:
            settled()
            _answer_until(stop, manager, options, ready)
        else:
            _log.info("stopping before the models were loaded")
    finally:
        ended = manager.stop(timeout=_LAST_WAIT_SECONDS)
    code = _INTERRUPTED if stop.number == signal.SIGINT else 0
    if not ended:
        os._exit(code)
    return code


def _start(manager: ModelManager) -> None:
    try:
        manager.start()
    except StatusError as error:
        raise UsageError(f"Failed to start server. Error: {error}") from None


def _answer_until(
    stop: StopSignal, manager: ModelManager, options: ServerOptions, ready: Callable[[str], None]
) -> None:
    import_tensorflow()
    from gannet_serving.server import ModelServer

    server = ModelServer(manager, options)
    server.start()
    _log.info("listening on %s", server.address)
    ready(server.address)
    stop.wait()
    _log.info("stopping; running requests have %.0f s to end", _GRACE_SECONDS)
    server.stop(_GRACE_SECONDS)
