"""`grpc.health.v1`: whether the server serves at all, as TensorFlow Serving tells it."""

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import HealthServicer

NAMES = ("", "ModelService", "PredictionService")
"""The services that can be asked for; a probe that names none asks for the server as a whole."""


class Health:
    """SERVING from the moment the port opens until the server stops; single models do not count.

    Attributes:
        name: The service's full name.
        handler: Answers its methods.
    """

    def __init__(self) -> None:
        self.name: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        self._servicer = HealthServicer()
        for name in NAMES:
            self._servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._watchers: list[Callable[[Any], None]] = []
        read = health_pb2.HealthCheckRequest.FromString
        write = health_pb2.HealthCheckResponse.SerializeToString
        self.handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            self.name,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._servicer.Check, read, write),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch(), read, write),
            },
        )

    def end(self) -> None:
        """NOT_SERVING from now on, also for those who watch; to them it is the last word."""
        self._servicer.enter_graceful_shutdown()
        for send in list(self._watchers):  # each takes itself out
            send(None)

    def _watch(self) -> Callable[..., None]:
        def watch(request: Any, context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
            self._watchers.append(send)
            context.add_callback(lambda: self._watchers.remove(send))
            self._servicer.Watch(request, context, send)

        watch.experimental_non_blocking = True  # type: ignore[attr-defined]
        return watch
