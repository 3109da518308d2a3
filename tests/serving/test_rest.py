"""REST as a server: its limits, its port, its end."""

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from gannet_client.errors import UsageError
from gannet_serving import LocalServer, ServerOptions
from gannet_serving.engine import import_tensorflow
from gannet_serving.manager import ModelManager
from gannet_serving.sources import Fixed

PREDICT = "/v1/models/gen:predict"
GOOD = json.dumps({"instances": [[1, 2, 3, 4]]}).encode()


@pytest.fixture(scope="module")
def models(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    for name in ("gen", "pausing"):
        (directory / name).mkdir()
    saved_models.write_gen(directory / "gen" / "1")
    saved_models.write_pausing(directory / "pausing" / "1")
    return directory


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[LocalServer]:
    with LocalServer(models, rest=True, options=ServerOptions(rest_api_num_threads=16)) as server:
        yield server


def connected(server: LocalServer) -> "closing[HTTPConnection]":
    return closing(HTTPConnection(server.rest_url.split("/")[2], timeout=30))


@pytest.fixture
def connection(server: LocalServer) -> Iterator[HTTPConnection]:
    with connected(server) as connection:
        yield connection


def error_of(response: HTTPResponse) -> tuple[int, str]:
    return response.status, json.loads(response.read())["error"]


def body_of(pause: Any) -> str:
    return json.dumps({"inputs": [pipe.decode() for pipe in pause.inputs["pipes"]]})


def test_one_connection_asks_many_times(connection: HTTPConnection) -> None:
    for _ in range(3):
        connection.request("POST", PREDICT, GOOD)
        response = connection.getresponse()
        assert response.status == 200
        assert len(json.loads(response.read())["predictions"][0]) == 4


def test_a_body_of_unknown_length(connection: HTTPConnection) -> None:
    connection.request("POST", PREDICT, iter([GOOD[:9], GOOD[9:]]), encode_chunked=True)
    assert connection.getresponse().status == 200


def test_half_a_surrogate_pair_in_a_message(connection: HTTPConnection) -> None:
    connection.request("POST", PREDICT, b'{"instances": "\\ud800"}')
    code, message = error_of(connection.getresponse())
    assert (code, message.split("\n")[1]) == (400, '    "instances": "?"')


GZIP = {"Content-Encoding": "gzip"}


def test_a_body_that_is_gzip(connection: HTTPConnection) -> None:
    connection.request("POST", PREDICT, gzip.compress(GOOD), GZIP)
    assert connection.getresponse().status == 200


def test_a_body_that_only_says_it_is_gzip(connection: HTTPConnection) -> None:
    connection.request("POST", PREDICT, GOOD, GZIP)
    message = "The body is not gzip, which its Content-Encoding says it is"
    assert error_of(connection.getresponse()) == (400, message)


def test_a_small_body_that_becomes_too_large(connection: HTTPConnection) -> None:
    connection.request("POST", PREDICT, gzip.compress(bytes((64 << 20) + 1)), GZIP)
    assert error_of(connection.getresponse())[0] == 413


def test_many_at_once(server: LocalServer) -> None:
    def ask(_: int) -> int:
        with connected(server) as connection:
            connection.request("POST", PREDICT, GOOD)
            return connection.getresponse().status

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(64))) == {200}


@pytest.mark.parametrize("path", ["/", "/index.html", "/v2/models/gen"])
def test_other_paths_are_not_found(path: str, connection: HTTPConnection) -> None:
    connection.request("GET", path)
    assert error_of(connection.getresponse()) == (404, "Not Found; the API lies below /v1/models")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_malformed(method: str, connection: HTTPConnection) -> None:
    connection.request(method, PREDICT)
    assert error_of(connection.getresponse()) == (400, f"Malformed request: {method} {PREDICT}")


def test_a_body_that_says_it_is_too_large(connection: HTTPConnection) -> None:
    connection.putrequest("POST", PREDICT)
    connection.putheader("Content-Length", str((64 << 20) + 1))
    connection.endheaders()
    code, message = error_of(connection.getresponse())
    assert code == 413
    assert message == "The body is too large; expected at most 67108864 bytes"


def test_a_request_beyond_its_time(models: Path, pause: Any) -> None:
    options = ServerOptions(rest_api_timeout_in_ms=3000)
    with LocalServer(models, rest=True, options=options) as server, connected(server) as connection:
        connection.request("POST", "/v1/models/pausing:predict", body_of(pause))
        pause.wait_until_running()
        assert error_of(connection.getresponse()) == (504, "Timed out waiting for notification")
        pause.end()


def test_a_port_in_use_is_noticed(server: LocalServer) -> None:
    import_tensorflow()
    from gannet_serving.server import ModelServer

    port = int(server.rest_url.split("/")[2].rpartition(":")[2])
    options = ServerOptions(port=0, rest_api_port=port)
    complaint = f"^cannot listen on 127.0.0.1:{port}: Address already in use; choose another port or --host$"
    with pytest.raises(UsageError, match=complaint):
        ModelServer(ModelManager(Fixed({})), options).start()


def test_closing_lets_a_running_request_end(models: Path, pause: Any) -> None:
    server = LocalServer(models, rest=True)
    with connected(server) as connection, ThreadPoolExecutor(1) as pool:
        connection.request("POST", "/v1/models/pausing:predict", body_of(pause))
        pause.wait_until_running()
        closed = pool.submit(server.close)
        pause.end()
        assert connection.getresponse().status == 200
        closed.result()
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            connection.connect()
