"""The compose file with what it needs around it."""

import os
import secrets
import subprocess
import time
from pathlib import Path

from click.testing import CliRunner

from gannet_serving.commands.serving import serving
from tests.docker.conftest import ROOT, docker
from tests.ports import free_ports


class Composition:
    """A directory with models and a configuration, and the services that the compose file makes of it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.name = f"gannet{secrets.token_hex(4)}"
        self.models = folder / "models"
        self.port, self.rest_port, self.prometheus_port = free_ports(3)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "GANNET_SERVING_IMAGE"},
            "COMPOSE_PROJECT_NAME": self.name,
            "GANNET_CONFIG": str(folder / "config"),
            "GANNET_MODELS": str(self.models),
            "GANNET_MODEL": "digits",
            "GANNET_PORT": str(self.port),
            "GANNET_REST_PORT": str(self.rest_port),
            "GANNET_PROMETHEUS_PORT": str(self.prometheus_port),
            **variables,
        }

    @property
    def address(self) -> str:
        """Where gRPC is published."""
        return f"127.0.0.1:{self.port}"

    def use(self, **variables: str) -> None:
        """Sets further variables of the compose file."""
        self.environment.update(variables)

    def configure(self, settings: str) -> None:
        """Renders a `serving.toml`."""
        (self.folder / "serving.toml").write_text(settings)
        arguments = ["render", str(self.folder / "serving.toml"), "--out", str(self.folder / "config")]
        result = CliRunner().invoke(serving, arguments, env={"GANNET_SERVING_IMAGE": None})
        assert result.exit_code == 0, result.exception

    def compose(self, *arguments: str) -> str:
        """Runs docker-compose and returns what it printed."""
        files = (
            "--file",
            ROOT / "docker" / "compose.yaml",
            "--env-file",
            self.folder / "config" / "compose.env",
        )
        done = subprocess.run(
            ["docker-compose", *files, "--project-directory", ROOT, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def container(self) -> str:
        """The id of the server's container."""
        return self.compose("ps", "--quiet", "serving")

    def services(self) -> set[str]:
        """Those that have a container, running or not."""
        project = ("--filter", f"label=com.docker.compose.project={self.name}")
        form = '{{.Label "com.docker.compose.service"}}'
        return set(docker("ps", "--all", *project, "--format", form).splitlines())

    def inspect(self, field: str) -> str:
        """What Docker knows of the server's container."""
        return docker("inspect", "--format", f"{{{{{field}}}}}", self.container())

    def wait_until(self, health: str) -> None:
        """Waits for what the health check says."""
        while self.inspect(".State.Health.Status") != health:
            time.sleep(0.5)
