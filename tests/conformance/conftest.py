"""The server under test: the embedded one, or any other at GANNET_CONFORMANCE_TARGET."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from gannet_serving import LocalServer, ServerOptions
from tests.conformance.answers import Target, request_class


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the suite, also where a foreign server has a copy of its own."""
    from tests.conformance.models import write_models

    directory: Path = tmp_path_factory.mktemp("conformance")
    write_models(directory)
    return directory


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    foreign = os.environ.get("GANNET_CONFORMANCE_TARGET")
    if foreign:
        rest = os.environ.get("GANNET_CONFORMANCE_REST")
        with _connected(foreign, f"http://{rest}" if rest else "", embedded=False) as asked:
            yield asked
        return
    with (
        LocalServer(request.getfixturevalue("directory"), rest=True) as server,
        _connected(server.target, server.rest_url.removesuffix("/v1"), embedded=True) as asked,
    ):
        yield asked


@pytest.fixture(scope="session")
def batching_target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A server with batching: the embedded one, or another at GANNET_CONFORMANCE_BATCHING_TARGET."""
    foreign = os.environ.get("GANNET_CONFORMANCE_BATCHING_TARGET")
    if foreign:
        with _connected(foreign, "", embedded=False) as asked:
            yield asked
        return
    if os.environ.get("GANNET_CONFORMANCE_TARGET"):
        pytest.skip("GANNET_CONFORMANCE_BATCHING_TARGET names no address")
    directory = request.getfixturevalue("directory")
    options = ServerOptions(
        enable_batching=True,
        enable_per_model_batching_parameters=True,
        batching_parameters_file=str(directory / "batching_threads.pbtxt"),
        grpc_max_threads=64,
    )
    with (
        LocalServer(directory / "batched", options=options) as server,
        _connected(server.target, "", embedded=True) as asked,
    ):
        yield asked


@pytest.fixture(scope="session")
def call(target: Target) -> Callable[[str, str], Any]:
    """Calls a method by its name with a request in text form and returns the response."""

    def call(rpc: str, request: str) -> Any:
        return target.method(rpc)(text_format.Parse(request, request_class(rpc)()), timeout=30)

    return call


@contextmanager
def _connected(address: str, rest: str, *, embedded: bool) -> Iterator[Target]:
    from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        yield Target(PredictionServiceStub(channel), ModelServiceStub(channel), channel, rest, embedded)
