"""`gannet serve --engine docker`, with the server's image in place of TensorFlow Serving's."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gannet_client import Client
from tests.docker.conftest import docker
from tests.serving.processes import Process, run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first build brings TensorFlow


CAREFUL = ("sh", "-c", 'umask 077; exec "$@"', "sh")
"""Goes before a command whose files nobody else is to read."""


@pytest.fixture
def serve(exported: Path, stripped_image: str, tmp_path: Path) -> Iterator[Process]:
    models = shutil.copytree(exported, tmp_path / 'models: "all", and more')
    arguments = ("--engine", "docker", "--image", stripped_image, "--port", 0, "--rest-port", 0)
    process = Process("gannet", "serve", models, *arguments, before=CAREFUL)
    yield process
    process.kill()


def test_it_serves_every_model_of_any_directory_until_ctrl_c(serve: Process) -> None:
    address, rest = serve.read_stdout_line().strip(), serve.read_stdout_line().strip()
    assert rest.startswith("http://127.0.0.1:")
    with Client(address, model="digits", timeout=60) as client:
        assert client.generate(2, seed=7).array.shape == (2, 16, 16, 1)
    [container] = docker("ps", "--quiet", "--filter", "name=gannet-serving-").splitlines()
    assert docker("inspect", "--format", "{{.Config.User}}", container) == "10001:10001"
    serve.send(signal.SIGINT)
    assert serve.end() == (130, "")
    assert not docker("ps", "--quiet", "--filter", "name=gannet-serving-")


def test_a_server_that_ends_by_itself_is_told(exported: Path) -> None:
    done = run("gannet", "serve", exported, "--engine", "docker", "--image", "python:3.11-slim", "--port", 0)
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == "gannet: the server ended with exit code 127; its log is above"


def test_without_a_model_nothing_starts(tmp_path: Path) -> None:
    done = run("gannet", "serve", tmp_path, "--engine", "docker")
    assert done.returncode == 2
    expected = "TensorFlow Serving needs one from the start"
    assert done.stderr == f"gannet: no model in {tmp_path}; {expected}, like {tmp_path}/NAME/1\n"
