"""The connection: one gRPC channel, opened by the first call."""

import math
import threading
import time
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from gannet_client import __version__, contract
from gannet_client._failures import to_error
from gannet_client._target import is_loopback, require_target
from gannet_client.errors import UsageError

_Response = TypeVar("_Response", bound=Message)

PREDICT = f"/{contract.PREDICTION_SERVICE}/Predict"
METADATA = f"/{contract.PREDICTION_SERVICE}/GetModelMetadata"
STATUS = f"/{contract.MODEL_SERVICE}/GetModelStatus"


class Deadline:
    """A moment that several calls have in common."""

    def __init__(self, seconds: float) -> None:
        if not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
            raise UsageError(f"timeout must be a positive number of seconds; received {seconds!r}")
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(self._end - time.monotonic(), 0.0)


class Channel:
    """Calls to one address; safe to share between threads.

    Args:
        target: What `require_target` accepts.
        max_message_bytes: The largest answer to accept.
    """

    def __init__(self, target: str, max_message_bytes: int) -> None:
        require_target(target)
        if not (isinstance(max_message_bytes, int) and 0 < max_message_bytes < 1 << 31):
            raise UsageError(f"max_message_bytes must be from 1 to 2**31 - 1; received {max_message_bytes!r}")
        self.target = target
        self.max_message_bytes = max_message_bytes
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._closed = False

    def call(
        self, method: str, request: Message, response: type[_Response], deadline: Deadline, where: str
    ) -> _Response:
        """One unary call; `where` begins the message of an error.

        Raises:
            GannetError: As the table of `_failures` says.
        """
        stub = self._open().unary_unary(
            method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return stub(request, timeout=deadline.remaining())
        except grpc.RpcError as failure:
            raise to_error(failure, where) from failure

    def close(self) -> None:
        """Ends the connection; a second time does nothing."""
        with self._lock:
            self._closed = True
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def _open(self) -> grpc.Channel:
        with self._lock:
            if self._closed:
                raise UsageError("this client is closed; make a new one")
            if self._channel is None:
                self._channel = grpc.insecure_channel(self.target, self._options())
            return self._channel

    def _options(self) -> list[tuple[str, int | str]]:
        return [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.primary_user_agent", f"gannet-client/{__version__}"),
            # A server that starts is found within a second: gRPC's own pauses grow up to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # No proxy can reach this machine's loopback interface, whatever `http_proxy` says.
            ("grpc.enable_http_proxy", int(not is_loopback(self.target))),
        ]
