"""The compose file with what it needs around it."""

import os
import socket
import subprocess
import time
from pathlib import Path

from click.testing import CliRunner

from gannet_serving.commands.serving import serving
from tests.docker.conftest import ROOT, docker


class Composition:
    """A directory with models and a configuration, and the services that the compose file makes of it."""

    def __init__(self, folder: Path, images: dict[str, str]) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.port, self.rest_port, self.prometheus_port = _free_ports(3)
        self._environment = {
            **os.environ,
            **images,
            "COMPOSE_PROJECT_NAME": f"gannet{os.getpid()}",
            "GANNET_CONFIG": str(folder / "config"),
            "GANNET_MODELS": str(self.models),
            "GANNET_MODEL": "digits",
            "GANNET_PORT": str(self.port),
            "GANNET_REST_PORT": str(self.rest_port),
            "GANNET_PROMETHEUS_PORT": str(self.prometheus_port),
        }

    @property
    def address(self) -> str:
        """Where gRPC is published."""
        return f"127.0.0.1:{self.port}"

    def use(self, **images: str) -> None:
        """Names further images."""
        self._environment.update(images)

    def configure(self, settings: str) -> None:
        """Renders a `serving.toml`."""
        (self.folder / "serving.toml").write_text(settings)
        arguments = ["render", str(self.folder / "serving.toml"), "--out", str(self.folder / "config")]
        result = CliRunner().invoke(serving, arguments)
        assert result.exit_code == 0, result.exception

    def compose(self, *arguments: str) -> str:
        """Runs docker-compose and returns what it printed."""
        command = ["docker-compose", "--file", str(ROOT / "docker" / "compose.yaml")]
        done = subprocess.run(
            [*command, "--project-directory", str(ROOT), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def container(self) -> str:
        """The id of the server's container."""
        return self.compose("ps", "--quiet", "serving")

    def inspect(self, field: str) -> str:
        """What Docker knows of the server's container."""
        return docker("inspect", "--format", f"{{{{{field}}}}}", self.container())

    def wait_until(self, health: str) -> None:
        """Waits for what the health check says."""
        while self.inspect(".State.Health.Status") != health:
            time.sleep(0.5)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
