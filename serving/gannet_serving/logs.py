"""The log of a server: one line per event on stderr, as text or as JSON."""

import faulthandler
import json
import logging
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from queue import Full, Queue
from threading import Thread
from typing import IO

FIELDS = "fields"
"""The name under which a record carries what an event says besides its message: a dict."""
_TEXT = "%(asctime)s %(levelname)s %(message)s"
_MOST_LINES = 10_000
_FLUSH_SECONDS = 1.0
_log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def configure_logging(log_format: str = "text") -> None:
    """Sends the log to stderr, and the Python stack there should the process crash.

    The stream is a copy of stderr, because the original is muted while TensorFlow is imported. What cannot be
    written, on a full disk, into a closed pipe or into one that nobody reads, is lost; nothing else happens.

    Args:
        log_format: `text` or `json`.
    """
    stream = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    handler = _Handler(stream)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter(_TEXT))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("gannet_serving").setLevel(logging.INFO)
    faulthandler.enable(stream)


def flush_log(seconds: float = _FLUSH_SECONDS) -> None:
    """Waits so long at most until what was logged is written: for the moment before a process ends."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            handler.wait_until_written(seconds)


def is_logged(error: Exception) -> bool:
    """Logs what ends the server where the log is JSON, whose readers expect nothing else; returns whether."""
    handlers = logging.getLogger().handlers
    if not any(isinstance(handler.formatter, _JsonFormatter) for handler in handlers):
        return False
    _log.critical("%s", error)
    return True


class _Handler(logging.Handler):
    """Hands lines to a thread that writes them, so that nobody waits for whoever does not read them."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream
        self._lines = Queue[str](_MOST_LINES)
        Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Full):
            self._lines.put_nowait(f"{self.format(record)}\n")

    def flush(self) -> None:
        self.wait_until_written(_FLUSH_SECONDS)

    def wait_until_written(self, seconds: float) -> None:
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, seconds)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with suppress(OSError):
                self._stream.write(line)
            self._lines.task_done()


class _TextFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line, whatever a name or a message holds."""
        record.message = _CONTROL.sub(lambda match: repr(match[0])[1:-1], record.message)
        return super().formatMessage(record)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """An object: time, level, message, and what else the event has."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event)
