"""The image under test, and containers of it that run with as few rights as possible."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("client", "docker", "export", "serving", "training")
FILES = ("constraints.txt", "LICENSE", "pyproject.toml", "README.md", ".dockerignore")
WITHIN_FIVE_SECONDS = ("-t", "5")
"""Has `stop` kill whatever takes longer, which its exit code then tells."""
CONFINED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "2g"]


def docker(*arguments: object) -> str:
    done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, (
        f"docker {arguments[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    )
    return done.stdout.strip()


class Container:
    """A running container of the image, its ports published on the loopback interface alone."""

    def __init__(self, image: str, models: Path, *arguments: str, options: tuple[str, ...] = ()) -> None:
        self.id = docker(
            *("run", "--detach", "--publish", "127.0.0.1::8500", "--publish", "127.0.0.1::8501"),
            *("--volume", f"{models}:/models:ro"),
            *(*CONFINED, *options, image, *arguments),
        )

    @property
    def address(self) -> str:
        """Where gRPC can be reached."""
        return docker("port", self.id, "8500/tcp")

    @property
    def rest_address(self) -> str:
        """Where REST can be reached."""
        return docker("port", self.id, "8501/tcp")

    def wait_for_log(self, text: str) -> None:
        """Follows the log until a line with `text` comes."""
        with self._logs("--follow") as follower:
            assert follower.stdout is not None
            found = any(text in line for line in follower.stdout)
            follower.terminate()
        assert found, f"the container ended before it logged {text!r}:\n" + "\n".join(self.log())

    def log(self) -> list[str]:
        """Every line of stdout and stderr."""
        with self._logs() as logs:
            return logs.communicate()[0].splitlines()

    def _logs(self, *options: str) -> subprocess.Popen[str]:
        command = ["docker", "logs", *options, self.id]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def inspect(self, field: str) -> str:
        return docker("inspect", "--format", f"{{{{{field}}}}}", self.id)

    def stop(self) -> None:
        docker("stop", *WITHIN_FIVE_SECONDS, self.id)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.id)


def clone(folder: Path) -> None:
    """Copies what the images are built from."""
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)


def build(target: str, tree: Path = ROOT, tag: str = "test") -> str:
    """Builds one of the project's images."""
    name, file = f"gannet-{target}:{tag}", tree / "docker" / "Dockerfile"
    docker("build", "--network", "host", "--file", file, "--target", target, "--tag", name, tree)
    return name


@pytest.fixture(scope="session")
def image() -> str:
    """The image named by GANNET_SERVING_IMAGE, or one that is built here."""
    return os.environ.get("GANNET_SERVING_IMAGE") or build("server")


@pytest.fixture(scope="session")
def image_config(image: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image))
    return config


@pytest.fixture
def start(image: str) -> Iterator[Callable[..., Container]]:
    """Starts containers that are removed after the test."""
    containers: list[Container] = []

    def start_one(models: Path, *arguments: str, options: tuple[str, ...] = ()) -> Container:
        containers.append(Container(image, models, *arguments, options=options))
        return containers[-1]

    yield start_one
    for container in containers:
        container.remove()


@pytest.fixture(scope="session")
def client_image() -> str:
    return build("client")


@pytest.fixture(scope="session")
def stripped_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server's image as TensorFlow Serving's is: without a command of ours but the server."""
    folder = tmp_path_factory.mktemp("stripped")
    (folder / "Dockerfile").write_text(
        f"FROM {image}\nUSER 0\nRUN rm -f /usr/local/bin/gannet /usr/bin/curl /usr/bin/wget\n"
        'ENTRYPOINT ["/bin/false"]\n'
    )
    docker("build", "--tag", "gannet-stripped:test", folder)
    return "gannet-stripped:test"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models directory with `digits`, trained and exported in containers."""
    work = tmp_path_factory.mktemp("work")
    work.chmod(0o777)
    for target, arguments in (
        ("train", ("dcgan", "--data", "digits", "--steps", "10", "--width", "8", "--out", "run")),
        ("export", ("run", "--models", "models", "--name", "digits")),
    ):
        options = (*CONFINED, "--network", "none", "--volume", f"{work}:/work")
        docker("run", "--rm", *options, build(target), *arguments)
    return work / "models"


@pytest.fixture(scope="session")
def prometheus_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Prometheus from Debian, under the official image's contract."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "Dockerfile").write_text(
        "FROM python:3.11-slim\n"
        "RUN apt-get update && apt-get install --yes --no-install-recommends prometheus\n"
        "RUN install --directory --owner 65534 --group 65534 /prometheus\n"
        "USER 65534:65534\n"
        'ENTRYPOINT ["/usr/bin/prometheus"]\n'
    )
    docker("build", "--network", "host", "--tag", "gannet-prometheus:test", folder)
    return "gannet-prometheus:test"
