"""The access log: a line for each request, without anything of what it holds."""

import logging

import grpc

from gannet_serving.calls import Call
from gannet_serving.logs import FIELDS

_log = logging.getLogger(__name__)


def log_access(call: Call, code: grpc.StatusCode) -> None:
    """Logs a request that is over."""
    fields = {
        "request_id": call.id,
        "peer": call.peer(),
        "entrypoint": call.entrypoint,
        "method": call.api,
        "model": call.model,
        "version": call.version,
        "signature": call.signature,
        "code": code.name,
        "milliseconds": round(call.seconds * 1e3, 3),
    }
    said = " ".join(f"{name}={value}" for name, value in fields.items() if value not in ("", None))
    _log.info("%s", said, extra={FIELDS: fields})
