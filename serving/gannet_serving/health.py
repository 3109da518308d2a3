"""`grpc.health.v1`: whether the server serves at all, as TensorFlow Serving tells it."""

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
        read = health_pb2.HealthCheckRequest.FromString
        write = health_pb2.HealthCheckResponse.SerializeToString
        self.handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            self.name,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._servicer.Check, read, write),
                "Watch": grpc.unary_stream_rpc_method_handler(self._servicer.Watch, read, write),
            },
        )

    def end(self) -> None:
        """NOT_SERVING from now on, also for those who watch."""
        self._servicer.enter_graceful_shutdown()
