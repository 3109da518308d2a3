"""`grpc.health.v1`: whether the server serves at all, as TensorFlow Serving tells it, and each model."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from gannet_serving.manager import ModelManager

NAMES = ("", "ModelService", "PredictionService")
"""The services that can be asked for; a probe that names none asks for the server as a whole."""
_SENDERS = 4
_Status = health_pb2.HealthCheckResponse
Send = Callable[[Any], None]


class Health:
    """The server is SERVING from the moment its port opens until it stops; a model, while it has a version.

    Attributes:
        name: The service's full name.
        handler: Answers its methods.
    """

    def __init__(self, manager: ModelManager) -> None:
        """Begins to follow the models of `manager`."""
        self.name: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        read, write = health_pb2.HealthCheckRequest.FromString, _Status.SerializeToString
        self.handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            self.name,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check, read, write),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch(), read, write),
            },
        )
        self._manager = manager
        self._has_ended = False
        self._lock = Lock()
        self._watchers: set[_Watcher] = set()
        # A watcher that does not read holds up a sender, and none of the threads that answer requests.
        self._senders = ThreadPoolExecutor(_SENDERS, "health")
        manager.when_changed(self._tell_all)

    def end(self) -> None:
        """NOT_SERVING from now on, also for those who watch; to them it is the last word."""
        self._has_ended = True
        self._tell_all()
        self._senders.shutdown(wait=False)

    def _status(self, name: str) -> int | None:
        """None for a name that nobody knows."""
        if name not in NAMES and not self._manager.knows(name):
            return None
        serves = name in NAMES or self._manager.is_available(name)
        status: int = _Status.SERVING if serves and not self._has_ended else _Status.NOT_SERVING
        return status

    def _check(self, request: Any, context: grpc.ServicerContext) -> Any:
        status = self._status(request.service)
        if status is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        return _Status(status=status)

    def _watch(self) -> Callable[..., None]:
        def watch(request: Any, context: grpc.ServicerContext, send: Send) -> None:
            watcher = _Watcher(request.service, send)
            with self._lock:
                self._watchers.add(watcher)
            if not context.add_callback(partial(self._forget, watcher)):
                self._forget(watcher)
            self._tell(watcher)

        watch.experimental_non_blocking = True  # type: ignore[attr-defined]
        return watch

    def _forget(self, watcher: "_Watcher") -> None:
        with self._lock:
            self._watchers.discard(watcher)

    def _tell_all(self) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            self._tell(watcher)

    def _tell(self, watcher: "_Watcher") -> None:
        if watcher.must_begin():
            try:
                self._senders.submit(self._send, watcher)
            except RuntimeError:  # the server has ended, and this one came too late to be told
                watcher.send(None)

    def _send(self, watcher: "_Watcher") -> None:
        while watcher.must_go_on():
            is_last = self._has_ended  # asked before the status, which is then the last one too
            status = self._status(watcher.name)
            watcher.tell(_Status.SERVICE_UNKNOWN if status is None else status)
            if is_last:
                watcher.send(None)
                return


class _Watcher:
    """One stream: it gets each change, and the last state if there were several since it could take one."""

    def __init__(self, name: str, send: Send) -> None:
        self.name = name
        self.send = send
        self._told: int | None = None
        self._lock = Lock()
        self._is_due = False
        self._is_sending = False

    def must_begin(self) -> bool:
        """Notes that there may be news; returns whether nobody is sending."""
        with self._lock:
            self._is_due = True
            begins = not self._is_sending
            self._is_sending = True
            return begins

    def must_go_on(self) -> bool:
        """Whether there may be news since the last time; if not, the sending has ended."""
        with self._lock:
            self._is_sending = self._is_due
            self._is_due = False
            return self._is_sending

    def tell(self, status: int) -> None:
        """Sends a status that differs from the one sent last."""
        if status != self._told:
            self._told = status
            self.send(_Status(status=status))
