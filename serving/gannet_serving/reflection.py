"""`grpc.reflection`: tells tools such as grpcurl the services and their messages."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME, ReflectionServicer
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

_NAMES = (SERVICE_NAME, SERVICE_NAME.replace("v1alpha", "v1"))
"""The two versions differ in nothing but this name."""
_THREADS = 2
_SERVICES = [
    service.full_name
    for file in (prediction_service_pb2, model_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
]


def reflection_handlers(others: Sequence[str]) -> list[grpc.GenericRpcHandler]:
    """The handlers of both versions of the service.

    Args:
        others: Full names of the services to tell of beside the models' own and this one.
    """
    servicer = ReflectionServicer([*_SERVICES, *others, SERVICE_NAME])

    def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        yield from servicer.ServerReflectionInfo(requests, context)

    # A tool may keep its stream open: that must not cost one of the threads that answer requests.
    answer.experimental_thread_pool = ThreadPoolExecutor(_THREADS, "reflection")  # type: ignore[attr-defined]
    handler = grpc.stream_stream_rpc_method_handler(
        answer,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return [grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}) for name in _NAMES]
