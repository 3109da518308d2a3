"""More callers than the server works for at once, and callers that hold on to what they do not use."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from gannet_serving import LocalServer, ServerOptions
from gannet_serving.call_pool import SPARE_THREADS

NOISE = {"noise": np.ones((1, 4), np.float32)}
OPTIONS = ServerOptions(
    grpc_max_threads=1,
    rest_api_num_threads=1,
    enable_grpc_healthcheck_service=True,
    grpc_channel_arguments="grpc.max_receive_message_length=100000",
)
PREDICT = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def server(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One call at a time, over gRPC and over REST."""
    models = tmp_path_factory.mktemp("models")
    for name in ("gen", "pausing"):
        (models / name).mkdir()
    saved_models.write_gen(models / "gen" / "1")
    saved_models.write_pausing(models / "pausing" / "1")
    with LocalServer(models, rest=True, options=OPTIONS) as server:
        yield server


@pytest.fixture
def stubs(server: LocalServer, connect: Callable[[str], Any]) -> Any:
    return connect(server.target)


@pytest.fixture
def ask(server: LocalServer) -> Callable[..., tuple[int, Any]]:
    """Sends an HTTP request and returns the code and the document of its response."""

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        with closing(HTTPConnection(server.rest_url.split("/")[2], timeout=30)) as connection:
            connection.request(method, f"/v1/models/{path}", json.dumps(body) if body else None)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    return ask


@contextmanager
def running(stubs: Any, pause: Any, predict_request: Callable[..., Any]) -> Iterator[None]:
    """A call that takes the one place there is."""
    call = stubs.prediction.Predict.future(predict_request("pausing", pause.inputs), timeout=60)
    pause.wait_until_running()
    yield
    pause.end()
    assert call.result().model_spec.name == "pausing"


def test_a_call_beyond_the_limit_is_refused_and_probes_are_answered(
    stubs: Any, pause: Any, predict_request: Callable[..., Any]
) -> None:
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    request = predict_request("gen", NOISE)
    with running(stubs, pause, predict_request):
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                stubs.prediction.Predict(request, timeout=30)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert caught.value.details() == "Server Threadpool Exhausted"
        health = health_pb2_grpc.HealthStub(stubs.channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == 1
        status = GetModelStatusRequest(model_spec=request.model_spec)
        assert stubs.model.GetModelStatus(status, timeout=30).model_version_status[0].state == 30
        metadata = GetModelMetadataRequest(model_spec=request.model_spec, metadata_field=["signature_def"])
        assert stubs.prediction.GetModelMetadata(metadata, timeout=30).model_spec.version.value == 1
        assert ProtoReflectionDescriptorDatabase(stubs.channel).get_services()
    assert stubs.prediction.Predict(request, timeout=30).model_spec.version.value == 1


def test_rest_has_a_limit_of_its_own(
    stubs: Any, ask: Callable[..., tuple[int, Any]], pause: Any, predict_request: Callable[..., Any]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = {"instances": [[1, 2, 3, 4]]}
    body = {"inputs": [pipe.decode() for pipe in pause.inputs["pipes"]]}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, "POST", "pausing:predict", body)
        pause.wait_until_running()
        assert ask("POST", "gen:predict", rows) == (429, {"error": "Server Threadpool Exhausted"})
        assert ask("GET", "gen")[0] == 200
        assert ask("GET", "gen/metadata")[0] == 200
        assert stubs.prediction.Predict(predict_request("gen", NOISE), timeout=30)
        pause.end()
        assert running.result()[0] == 200
    assert ask("POST", "gen:predict", rows)[0] == 200


def test_callers_that_begin_and_do_not_send_hold_nobody_up(
    stubs: Any, connect: Callable[[str], Any], server: LocalServer, predict_request: Callable[..., Any]
) -> None:
    never = Event()

    def requests() -> Iterator[bytes]:
        never.wait(60)
        yield from ()

    slow = connect(server.target).channel.stream_unary(PREDICT)
    calls = [slow.future(requests(), timeout=60) for _ in range(10 * SPARE_THREADS)]
    while not any(call.done() for call in calls):  # until all threads are held, none is given up
        time.sleep(0.01)
    assert {call.code() for call in calls if call.done()} == {grpc.StatusCode.CANCELLED}
    assert stubs.prediction.Predict(predict_request("gen", NOISE), timeout=30)
    never.set()
    for call in calls:
        call.cancel()


def test_the_size_of_messages_can_be_limited(stubs: Any, predict_request: Callable[..., Any]) -> None:
    request = predict_request("gen", {"noise": np.ones((6250, 4), np.float32)})
    assert request.ByteSize() > 100_000
    with pytest.raises(grpc.RpcError) as caught:
        stubs.prediction.Predict(request, timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in caught.value.details()
    small = predict_request("gen", {"noise": np.ones((6000, 4), np.float32)})
    assert stubs.prediction.Predict(small, timeout=30)


def test_a_call_is_known_by_its_id(
    stubs: Any, server: LocalServer, predict_request: Callable[..., Any]
) -> None:
    def id_of(*metadata: tuple[str, str]) -> str:
        _, call = stubs.prediction.Predict.with_call(
            predict_request("gen", NOISE), timeout=30, metadata=metadata
        )
        return dict(call.trailing_metadata())["x-request-id"]

    assert id_of(("x-request-id", "caller-7")) == "caller-7"
    made = {id_of(), id_of(), id_of(("x-request-id", "x" * 129)), id_of(("x-request-id", "two words"))}
    assert len(made) == 4
    assert all(len(name) < 40 for name in made)
    with closing(HTTPConnection(server.rest_url.split("/")[2], timeout=30)) as connection:
        for given, is_kept in (("r-1", True), ("x" * 129, False)):
            connection.request("GET", "/v1/models/no", headers={"X-Request-Id": given})
            response = connection.getresponse()
            assert response.status == 404
            response.read()
            assert (response.headers["x-request-id"] == given) is is_kept
