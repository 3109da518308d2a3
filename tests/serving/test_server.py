"""The server over real gRPC while its models change, and at its limits."""

import shutil
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest

from gannet_client.codec import decode
from gannet_client.errors import UsageError
from gannet_serving.address import require_free
from gannet_serving.config import models as configs
from gannet_serving.engine import import_tensorflow
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.rpc import Method, Methods
from gannet_serving.servables import State
from gannet_serving.sources import Fixed
from gannet_serving.status import StatusError

NOISE = np.ones((3, 4), np.float32)


def status_of(stubs: Any, name: str) -> dict[int, int]:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    request = GetModelStatusRequest()
    request.model_spec.name = name
    response = stubs.model.GetModelStatus(request, timeout=30)
    return {status.version: status.state for status in response.model_version_status}


def wait_for(stubs: Any, name: str, expected: dict[int, int]) -> None:
    while expected.items() - status_of(stubs, name).items():
        Event().wait(0.01)


@pytest.fixture
def models(tmp_path: Path, saved_models: Any) -> Path:
    (tmp_path / "gen").mkdir()
    saved_models.write_gen(tmp_path / "gen" / "1", offset=1)
    return tmp_path


def test_versions_come_and_go_under_callers(
    models: Path, saved_models: Any, serve: Callable[[Path], Any], predict_request: Callable[..., Any]
) -> None:
    stubs = serve(models)
    request = predict_request("gen", {"noise": NOISE})
    stop = Event()

    def call() -> set[int]:
        seen = set()
        while not stop.is_set():
            response = stubs.prediction.Predict(request, timeout=30)
            version = response.model_spec.version.value
            expected = saved_models.images(NOISE, offset=version)
            np.testing.assert_allclose(decode(response.outputs["images"]), expected, rtol=1e-5)
            seen.add(version)
        return seen

    with ThreadPoolExecutor(16) as pool:
        callers = [pool.submit(call) for _ in range(16)]
        for number in range(2, 11):
            saved_models.write_gen(models / "gen" / str(number), offset=number)
            wait_for(stubs, "gen", {number: State.AVAILABLE, number - 1: State.END})
        shutil.rmtree(models / "gen" / "10")
        wait_for(stubs, "gen", {9: State.AVAILABLE, 10: State.END})
        stop.set()
        seen = set.union(*(caller.result() for caller in callers))
    assert seen <= set(range(1, 11))
    assert len(seen) > 1


def test_a_running_request_keeps_its_version(
    tmp_path: Path,
    saved_models: Any,
    serve: Callable[[Path], Any],
    pause: Any,
    predict_request: Callable[..., Any],
) -> None:
    base_path = tmp_path / "pausing"
    base_path.mkdir()
    saved_models.write_pausing(base_path / "1")
    stubs = serve(tmp_path)
    running = stubs.prediction.Predict.future(predict_request("pausing", pause.inputs), timeout=60)
    pause.wait_until_running()
    saved_models.write_pausing(base_path / "2")
    wait_for(stubs, "pausing", {2: State.AVAILABLE, 1: State.UNLOADING})
    pause.end()
    assert running.result().model_spec.version.value == 1
    wait_for(stubs, "pausing", {2: State.AVAILABLE, 1: State.END})


def test_a_corrupt_model_beside_a_good_one(
    models: Path,
    saved_models: Any,
    serve: Callable[[Path], Any],
    predict_request: Callable[..., Any],
    details_of: Callable[..., str],
) -> None:
    (models / "bad").mkdir()
    broken = saved_models.write_gen(models / "bad" / "1")
    (broken / "saved_model.pb").write_bytes(b"junk")
    stubs = serve(models)
    assert stubs.prediction.Predict(predict_request("gen", {"noise": NOISE}), timeout=30)
    refusal = details_of(stubs.prediction.Predict, predict_request("bad", {"noise": NOISE}))
    assert refusal == "Servable not found for request: Latest(bad)"
    assert status_of(stubs, "bad") == {1: State.END}
    assert status_of(stubs, "gen") == {1: State.AVAILABLE}


@pytest.mark.parametrize(
    ("timeout", "is_over", "code"),
    [
        (3, lambda context: context.time_remaining() == 0, "DEADLINE_EXCEEDED"),
        (None, lambda context: not context.is_active(), "CANCELLED"),
    ],
    ids=["deadline", "caller gone"],
)
def test_what_nobody_waits_for_is_not_computed(
    timeout: float | None,
    is_over: Callable[[Any], bool],
    code: str,
    models: Path,
    connect: Callable[[str], Any],
    predict_request: Callable[..., Any],
) -> None:
    from gannet_serving.prediction_service import PredictionService

    manager = ModelManager(Fixed(configs({"gen": models / "gen"})))
    manager.start()
    assert manager.wait_until_settled(60)
    entered, outcome = Event(), Future[Any]()

    def predict_late(request: Any, context: Any) -> Any:
        entered.set()
        while not is_over(context):
            Event().wait(0.01)
        try:
            outcome.set_result(PredictionService(manager).predict(request, context))
        except StatusError as error:
            outcome.set_exception(error)
            raise
        return outcome.result()

    request = predict_request("gen", {"noise": NOISE})
    methods = Methods({"/tensorflow.serving.PredictionService/Predict": Method(type(request), predict_late)})
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[methods])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        call = connect(f"127.0.0.1:{port}").prediction.Predict.future(request, timeout=timeout)
        assert entered.wait(60)
        if timeout is None:
            call.cancel()
        with pytest.raises(StatusError, match=code):
            outcome.result(timeout=60)
        server.stop(grace=None)
    assert manager.stop()


def test_a_request_beyond_the_limit_is_refused(served: Any, predict_request: Callable[..., Any]) -> None:
    request = predict_request("gen", {})
    request.inputs["noise"].tensor_content = bytes(257 << 20)
    with pytest.raises(grpc.RpcError) as caught:
        served.prediction.Predict(request, timeout=60)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


class TestAPortInUse:
    @pytest.fixture
    def port(self) -> Any:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            yield taken.getsockname()[1]

    def test_is_noticed_beforehand(self, port: int) -> None:
        with pytest.raises(
            UsageError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use; choose"
        ):
            require_free("127.0.0.1", port)

    def test_is_noticed_when_it_was_taken_meanwhile(self, port: int) -> None:
        import_tensorflow()
        from gannet_serving.server import ModelServer

        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: "):
            ModelServer(ModelManager(Fixed({})), ServerOptions(port=port)).start()

    def test_by_another_server_of_ours(self) -> None:
        import_tensorflow()
        from gannet_serving.server import ModelServer

        first = ModelServer(ModelManager(Fixed({})))
        first.start()
        host, port = first.address.rsplit(":", 1)
        with pytest.raises(UsageError, match=f"cannot listen on {first.address}: "):
            ModelServer(ModelManager(Fixed({})), ServerOptions(host=host, port=int(port))).start()
        first.stop(grace=None)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_foreign_address_is_noticed(host: str) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on {host}:8500: "):
        require_free(host, 8500)
