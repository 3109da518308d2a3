"""A server without a handler for SIGTERM, as TensorFlow Serving is; the embedded one has one."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.docker.composition import Composition
from tests.docker.conftest import WITHIN_FIVE_SECONDS, docker
from tests.serving.processes import Process

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

BY_SIGTERM = "143"  # where the engine has to kill it is 137


@pytest.fixture(scope="module")
def deaf_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("deaf")
    (folder / "Dockerfile").write_text(
        "FROM python:3.11-slim\n"
        r"RUN printf '#!/bin/sh\nexec sleep infinity\n' > /usr/bin/tensorflow_model_server"
        " && chmod 755 /usr/bin/tensorflow_model_server\n"
    )
    docker("build", "--network", "host", "--tag", "gannet-deaf:test", folder)
    return "gannet-deaf:test"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models" / "digits" / "1").mkdir(parents=True)
    return tmp_path / "models"


def test_the_composition_ends_it_by_sigterm(deaf_image: str, models: Path) -> None:
    composition = Composition(models.parent)
    composition.configure(f'image = "{deaf_image}"\n[models.digits]')
    try:
        composition.compose("up", "--detach", "serving")
        wait_for_sleep(composition.container())
        composition.compose("stop", *WITHIN_FIVE_SECONDS, "serving")
        assert composition.inspect(".State.ExitCode") == BY_SIGTERM
    finally:
        composition.compose("down", "--volumes")


def test_gannet_serve_ends_it_by_sigterm(deaf_image: str, models: Path) -> None:
    serve = Process("gannet", "serve", models, "--engine", "docker", "--image", deaf_image, "--port", 0)
    try:
        while not (container := docker("ps", "--quiet", "--filter", f"ancestor={deaf_image}")):
            time.sleep(0.1)
        wait_for_sleep(container)
        serve.send(signal.SIGTERM)
        assert serve.end() == (0, "")
        assert exit_code(container) == BY_SIGTERM
    finally:
        serve.kill()


def exit_code(container: str) -> str:
    """That of a container which may be gone: the engine tells what it remembers, and then what comes."""
    about = ("--filter", f"container={container}", "--filter", "event=die", "--since", "10m")
    command = ["docker", "events", *about, "--format", "{{.Actor.Attributes.exitCode}}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        code = events.stdout.readline().strip()
        events.terminate()
    return code


def wait_for_sleep(container: str) -> None:
    """Waits until the container runs the server, and no longer a shell."""
    while "sleep infinity" not in docker("top", container, "-o", "pid,args"):
        time.sleep(0.1)
