"""The log of a server: one line per event on stderr, as text or as JSON."""

import faulthandler
import json
import logging
import os
import re
from datetime import UTC, datetime
from typing import IO

FIELDS = "fields"
"""The name under which a record carries what an event says besides its message: a dict."""
_TEXT = "%(asctime)s %(levelname)s %(message)s"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def configure_logging(log_format: str = "text") -> None:
    """Sends the log to stderr, and the Python stack there should the process crash.

    The stream is a copy of stderr, because the original is muted while TensorFlow is imported. A log that
    cannot be written, on a full disk or into a closed pipe, is lost; nothing else happens.

    Args:
        log_format: `text` or `json`.
    """
    stream = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    handler = _Handler(stream)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter(_TEXT))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("gannet_serving").setLevel(logging.INFO)
    faulthandler.enable(stream)


class _Handler(logging.StreamHandler[IO[str]]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Does nothing: there is nowhere to tell it."""


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
