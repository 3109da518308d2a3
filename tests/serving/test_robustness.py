"""What callers may do to a server without harm to the others, while its log is on a full disk."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ports import free_ports
from tests.serving.conftest import Stubs, open_stubs
from tests.serving.mutations import grpc_request, rest_request
from tests.serving.processes import FEW_FILES, Process

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full and /proc of Linux")
NOISE = {"noise": np.ones((1, 4), np.float32)}
GOOD = json.dumps({"instances": [[1, 2, 3, 4]]})
MEMORY_LIMIT = 768 << 20
"""How far a request may drive the server's memory up; a message of 100 MB exists several times in between."""
BROKEN = ("UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "DATA_LOSS")
BATCHING = """
max_batch_size { value: 8 } batch_timeout_micros { value: 1000 } num_batch_threads { value: 2 }
enable_large_batch_splitting { value: true } pad_variable_length_inputs: true
"""
FEW, MANY = 300, 10_000


class Server:
    """A server in a process of its own, whose stderr is a full disk."""

    def __init__(self, process: Process, stubs: Stubs, rest: str, config: str) -> None:
        self.process, self.stubs, self.rest, self.config = process, stubs, rest, config

    def send(self, path: str, data: bytes) -> tuple[str, str]:
        """The code and the text of the answer to raw bytes."""
        try:
            self.stubs.channel.unary_unary(path)(data, timeout=60)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", ""

    def ask(self, method: str, path: str, body: bytes | str | None) -> tuple[int, bytes]:
        with closing(HTTPConnection(self.rest, timeout=60)) as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, saved_models: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    models = tmp_path_factory.mktemp("models")
    (models / "gen").mkdir()
    (models / "zoo").mkdir()
    saved_models.write_gen(models / "gen" / "1")
    saved_models.write_zoo(models / "zoo" / "1")
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{models / name}" model_platform: "tensorflow" }}'
        for name in ("gen", "zoo")
    )
    config = f"model_config_list {{ {entries} }}"
    (models / "config").write_text(config)
    (models / "monitoring").write_text("prometheus_config { enable: true }")
    (models / "batching").write_text(BATCHING)
    batching = ["--enable_batching", f"--batching_parameters_file={models / 'batching'}"]
    port, rest_port = free_ports(2)
    with open("/dev/full", "w") as full:
        process = Process(
            "gannet-model-server",
            f"--model_config_file={models / 'config'}",
            f"--monitoring_config_file={models / 'monitoring'}",
            f"--port={port}",
            f"--rest_api_port={rest_port}",
            "--rest_api_timeout_in_ms=20000",
            "--access_log",
            *(batching if getattr(request, "param", "") == "batching" else []),
            "--enable_grpc_healthcheck_service",
            stderr=full,
            before=FEW_FILES,
        )
    stubs = open_stubs(f"127.0.0.1:{port}")
    grpc.channel_ready_future(stubs.channel).result(timeout=120)
    yield Server(process, stubs, f"127.0.0.1:{rest_port}", config)
    stubs.channel.close()
    process.kill()


@pytest.fixture
def others_are_served(
    server: Server, predict_request: Callable[..., Any], saved_models: Any
) -> Iterator[Callable[[], None]]:
    """Asks as a good caller does; once more when the test is over, and looks at the server's memory.

    The configuration is sent again before, because what is left of a damaged one may be valid and empty.
    """
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    reload = ReloadConfigRequest()
    text_format.Parse(server.config, reload.config)

    def ask() -> None:
        server.stubs.model.HandleReloadConfigRequest(reload, timeout=60)
        response = server.stubs.prediction.Predict(predict_request("gen", NOISE), timeout=30)
        assert response.model_spec.version.value == 1
        assert server.ask("POST", "/v1/models/gen:predict", GOOD)[0] == 200

    ask()
    before = server.process.peak_bytes
    yield ask
    ask()
    assert server.process.peak_bytes - before < MEMORY_LIMIT


def check_grpc(server: Server, seed: int) -> None:
    path, data = grpc_request(Random(seed))
    code, text = server.send(path, data)
    assert code not in BROKEN, (code, text)
    assert not text.startswith("Internal error"), text


def check_rest(server: Server, seed: int) -> None:
    method, path, body = rest_request(Random(seed))
    code, text = server.ask(method, path, body)
    assert code in (200, 400, 404, 413, 501), (code, text)
    assert code == 200 or b'"error"' in text


@pytest.mark.parametrize("server", ["one by one", "batching"], indirect=True, scope="module")
@pytest.mark.parametrize("check", [check_grpc, check_rest])
def test_damaged_requests_are_answered(
    check: Callable[[Server, int], None], server: Server, others_are_served: Callable[[], None]
) -> None:
    @settings(max_examples=FEW, deadline=None)
    @given(st.integers(0, 2**32))
    def answer(seed: int) -> None:
        check(server, seed)

    answer()


@pytest.mark.slow
@pytest.mark.parametrize("server", ["one by one", "batching"], indirect=True, scope="module")
@pytest.mark.parametrize("check", [check_grpc, check_rest])
def test_thousands_of_damaged_requests_are_answered(
    check: Callable[[Server, int], None], server: Server, others_are_served: Callable[[], None]
) -> None:
    for seed in range(MANY):
        check(server, seed)
        if seed % 1000 == 0:
            others_are_served()


@pytest.mark.parametrize("size", [100_000_000])
def test_huge_strings(size: int, server: Server, others_are_served: Callable[[], None]) -> None:
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    named = PredictRequest()
    named.model_spec.name = "x" * size
    path = "/tensorflow.serving.PredictionService/Predict"
    code, text = server.send(path, named.SerializeToString())
    assert (code, text[-12:]) == ("NOT_FOUND", "...TRUNCATED")
    filled = PredictRequest()
    filled.model_spec.name = "gen"
    filled.inputs["noise"].dtype = 7
    filled.inputs["noise"].tensor_shape.dim.add(size=1)
    filled.inputs["noise"].string_val.append(bytes(size))
    code, text = server.send(path, filled.SerializeToString())
    assert (code, text) == ("INVALID_ARGUMENT", "Expects arg[0] to be float but string is provided")


@pytest.mark.parametrize("body", [b'{"instances": "%s"}', b'{"instances": [%s]}', b"%s"])
def test_huge_documents(body: bytes, server: Server, others_are_served: Callable[[], None]) -> None:
    code, text = server.ask("POST", "/v1/models/gen:predict", body % (b"[" * 30_000_000))
    assert code == 400
    assert len(text) < 5000


def test_idle_connections(server: Server, others_are_served: Callable[[], None]) -> None:
    """Two thousand of them, half on the port of REST, where the server was allowed 256 files at first."""
    with ExitStack() as stack:
        for address in (server.stubs.address, server.rest):
            host, port = address.split(":")
            for _ in range(1000):
                stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
        others_are_served()


def test_slow_http_callers(server: Server, others_are_served: Callable[[], None]) -> None:
    """Some never end their headers, others promise a body and send a byte of it."""
    host, port = server.rest.split(":")
    starts = (
        b"POST /v1/models/gen:predict HTTP/1.1\r\nX-A: b\r\n",
        b"POST /v1/models/gen:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n{",
    )
    with ExitStack() as stack:
        for index in range(200):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            slow.sendall(starts[index % 2])
        others_are_served()


def test_what_is_neither_http_nor_grpc(server: Server, others_are_served: Callable[[], None]) -> None:
    random = Random(7)
    starts = (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01")
    for index in range(100):
        host, port = (server.rest if index % 2 else server.stubs.address).split(":")
        with socket.create_connection((host, int(port)), timeout=30) as caller:
            caller.sendall(random.choice(starts) + random.randbytes(random.randrange(2000)))
    others_are_served()


def test_callers_that_vanish(
    server: Server, others_are_served: Callable[[], None], predict_request: Callable[..., Any]
) -> None:
    host, port = server.rest.split(":")
    request = predict_request("gen", {"noise": np.ones((20_000, 4), np.float32)})
    for _ in range(20):
        stubs = open_stubs(server.stubs.address)
        for _ in range(3):
            stubs.prediction.Predict.future(request, timeout=60)
        stubs.channel.close()
        with socket.create_connection((host, int(port)), timeout=30) as caller:
            head = f"POST /v1/models/gen:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(GOOD)}\r\n\r\n"
            caller.sendall(head.encode() + GOOD.encode())
    code = "RESOURCE_EXHAUSTED"
    while code == "RESOURCE_EXHAUSTED":  # what the vanished have asked for is being computed
        code, _ = server.send(
            "/tensorflow.serving.PredictionService/Predict",
            predict_request("gen", NOISE).SerializeToString(),
        )
    assert code == "OK"
    while server.ask("POST", "/v1/models/gen:predict", GOOD)[0] == 429:
        pass


def test_metrics_have_not_grown_with_what_callers_made_up(server: Server, tmp_path: Path) -> None:
    for number in range(50):
        assert server.ask("GET", f"/v1/models/made-up-{number}", None)[0] == 404
    code, page = server.ask("GET", "/monitoring/prometheus/metrics", None)
    assert code == 200
    assert b"made-up" not in page
    assert len(page) < 200_000
