"""The server under test: the embedded one, or any other at GANNET_CONFORMANCE_TARGET."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from gannet_serving import LocalServer
from gannet_serving.engine import import_tensorflow


class Target(NamedTuple):
    """The server that is asked.

    Attributes:
        prediction: The official client of PredictionService.
        model: The official client of ModelService.
        channel: What both use.
        rest: `http://HOST:PORT` of REST, or an empty string where only gRPC is to be asked.
        embedded: Whether it is the embedded server.
    """

    prediction: Any
    model: Any
    channel: grpc.Channel
    rest: str
    embedded: bool


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    import_tensorflow()
    foreign = os.environ.get("GANNET_CONFORMANCE_TARGET")
    if foreign:
        rest = os.environ.get("GANNET_CONFORMANCE_REST")
        yield from _connected(foreign, f"http://{rest}" if rest else "", embedded=False)
        return
    from tests.conformance.models import write_models

    directory: Path = tmp_path_factory.mktemp("conformance")
    write_models(directory)
    with LocalServer(directory, rest=True) as server:
        yield from _connected(server.target, server.rest_url.removesuffix("/v1"), embedded=True)


@pytest.fixture(scope="session")
def call(target: Target) -> Callable[..., Any]:
    """Calls a method by its name with a request in text form and returns the response."""
    from google.protobuf import text_format

    from tests.conformance.rpcs import request_class

    def call(rpc: str, request: str) -> Any:
        message = text_format.Parse(request, request_class(rpc)())
        return method(target, rpc)(message, timeout=30)

    return call


def method(target: Target, rpc: str) -> Any:
    service = target.model if rpc in ("GetModelStatus", "HandleReloadConfigRequest") else target.prediction
    return getattr(service, rpc)


def _connected(address: str, rest: str, *, embedded: bool) -> Iterator[Target]:
    from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        yield Target(PredictionServiceStub(channel), ModelServiceStub(channel), channel, rest, embedded)
