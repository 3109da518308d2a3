"""A server as a process: its log, its signals, its life from the first load to the last request."""

import logging
import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from gannet_client.errors import GannetError, UsageError
from gannet_client.extras import require
from gannet_client.signals import ending_signals
from gannet_serving.address import require_free
from gannet_serving.engine import import_tensorflow
from gannet_serving.logs import flush_log, is_logged
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.status import StatusError
from gannet_serving.tls import server_credentials, warn_if_exposed

_GRACE_SECONDS = 8.0
"""Time for running requests after a signal: less than the 10 seconds after which `docker stop` kills."""
_LAST_WAIT_SECONDS = 1.0
_POLL_SECONDS = 0.1
INTERRUPTED = 130
_FILES = 65536

_log = logging.getLogger(__name__)


def require_libraries() -> None:
    """Notices at once what would otherwise fail each load, out of the user's sight.

    Raises:
        MissingExtra: TensorFlow or the messages of TensorFlow Serving are not installed.
    """
    require(
        "serve", "tensorflow", "tensorflow_serving", "grpc_health", "grpc_reflection", "starlette", "uvicorn"
    )


class StopSignal:
    """SIGTERM, SIGINT or SIGHUP: the first asks for an orderly end, a second one ends the process at once.

    A terminal that is closed hangs up more than once, which hurries nothing; after `nohup` it does not count.

    Attributes:
        number: The signal that came; None before.
    """

    def __init__(self, last_words: Callable[[], object] = lambda: None) -> None:
        """Takes the signals from now on.

        Args:
            last_words: Called before the process ends at once.
        """
        self.number: int | None = None
        self._last_words = last_words
        for number in (signal.SIGINT, *ending_signals()):
            signal.signal(number, self._handle)

    def wait(self) -> None:
        """Waits for the signal.

        In short naps, because any thread of gRPC or TensorFlow may take a signal; Python's handler then runs
        when this one wakes.
        """
        while self.number is None:
            time.sleep(_POLL_SECONDS)

    def _handle(self, number: int, frame: object) -> None:
        if self.number is None:
            self.number = number
        elif number != signal.SIGHUP:
            self._last_words()
            os._exit(128 + number)


def run(
    manager: ModelManager,
    options: ServerOptions,
    *,
    settled: Callable[[], None] = lambda: None,
    ready: Callable[[str, str], None] = lambda address, rest_address: None,
) -> int:
    """Serves the models of `manager` until SIGTERM, SIGINT or SIGHUP comes and what runs then has ended.

    As with TensorFlow Serving the port stays closed until every model was loaded or has failed: an open port
    means a server that is ready.

    Args:
        manager: The models; started and stopped here.
        options: Where to listen, and all else that the server is to do.
        settled: Called before the port is opened; may raise to call it off.
        ready: Called once the ports are open, with `HOST:PORT` of gRPC and that of REST, which may be empty.

    Returns:
        The exit code: 130 after SIGINT, 0 after another signal. When work is left that cannot be interrupted
        (a model being loaded, a request beyond its grace), the process ends here instead.

    Raises:
        UsageError: The port cannot be opened, or the configuration of the models is refused.
    """
    stop = StopSignal()
    try:
        _raise_file_limit()
        _require_what_is_needed(options)
        ended = _run(stop, manager, options, settled, ready)
    except GannetError as error:
        if not is_logged(error):
            raise
        return error.exit_code
    finally:
        flush_log(_LAST_WAIT_SECONDS if stop.number else _GRACE_SECONDS)
    code = INTERRUPTED if stop.number == signal.SIGINT else 0
    if not ended:
        os._exit(code)
    return code


def _run(
    stop: StopSignal,
    manager: ModelManager,
    options: ServerOptions,
    settled: Callable[[], None],
    ready: Callable[[str, str], None],
) -> bool:
    """Returns whether everything has ended."""
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
    return ended


def _raise_file_limit() -> None:
    """Each connection takes a file: the usual 1,024 of a shell are fewer than there may be idle callers."""
    current, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    if current != resource.RLIM_INFINITY and current < wanted:
        with suppress(OSError, ValueError):  # some systems have a further limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _require_what_is_needed(options: ServerOptions) -> None:
    """Notices at once what would otherwise fail only when the models are loaded."""
    for port in (options.port, options.rest_api_port):
        if port is not None:
            require_free(options.host, port)
    if options.ssl_config_file:
        server_credentials(options.ssl_config_file)
        warn_if_exposed(options.ssl_config_file)
    if options.monitoring_config_file and options.rest_api_port is None:
        _log.warning("--monitoring_config_file has no effect without --rest_api_port, where metrics are told")


def _start(manager: ModelManager) -> None:
    try:
        manager.start()
    except StatusError as error:
        raise UsageError(f"Failed to start server. Error: {error}") from None


def _answer_until(
    stop: StopSignal, manager: ModelManager, options: ServerOptions, ready: Callable[[str, str], None]
) -> None:
    import_tensorflow()
    from gannet_serving.server import ModelServer

    server = ModelServer(manager, options)
    server.start()
    _log.info("listening on %s", server.address)
    ready(server.address, server.rest_address)
    stop.wait()
    _log.info("stopping; running requests have %.0f s to end", _GRACE_SECONDS)
    server.stop(_GRACE_SECONDS)
