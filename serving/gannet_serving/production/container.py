"""A TensorFlow Serving in a container that lives as long as the command that started it."""

import logging
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gannet_client import Client
from gannet_client.errors import GannetError, ModelError, UsageError
from gannet_serving.address import joined, require_free
from gannet_serving.process import INTERRUPTED, StopSignal
from gannet_serving.production.checks import check_models
from gannet_serving.production.rendering import ARGUMENTS, render
from gannet_serving.production.settings import ServingSettings
from gannet_serving.production.writing import server_user, write

PROGRAM = "/usr/bin/tensorflow_model_server"
_CONFINED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--pids-limit", "4096", "--init"),
)
"""The least that the server needs: it writes nothing, and needs no rights. Without an init it would be
process 1, from which Linux keeps SIGTERM."""
_GRACE_SECONDS = 10
_PATIENCE_SECONDS = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """Where the ports of a container are published; port 0 is any that is free, None none at all."""

    host: str
    port: int
    rest_port: int | None


def run(
    models: Path,
    names: Sequence[str],
    image: str,
    published: Published,
    *,
    memory: str,
    ready: Callable[[str, str], None],
) -> int:
    """Runs a TensorFlow Serving in Docker until SIGTERM, SIGINT or SIGHUP comes, or it ends by itself.

    Args:
        models: The models directory, absolute; mounted read-only.
        names: Of the models in it.
        image: Whose server it is.
        published: Its ports.
        memory: Its limit, in Docker's notation.
        ready: Called with `HOST:PORT` of gRPC, and of REST or an empty string, once every model serves.

    Returns:
        The exit code: 130 after SIGINT, 0 after another signal.

    Raises:
        UsageError: There is no Docker, or the ports, the models or the image cannot be used.
        ModelError: The server ended by itself.
    """
    _require_docker()
    for port in (published.port, published.rest_port):
        if port:
            require_free(published.host, port)
    settings = ServingSettings.model_validate(
        {"models": {name: {} for name in names}, "models_dir": str(models)}
    )
    files = render(settings, image, models)
    for warning in check_models(settings, image, models):
        _log.warning("%s", warning)
    with tempfile.TemporaryDirectory(prefix="gannet-serving-") as config:
        write(files, Path(config))
        Path(config).chmod(0o755)  # the user of the server is another one
        volumes = {models: settings.mounted_at, Path(config): settings.config_dir}
        container = _Container(published, settings, volumes, memory, image, files[ARGUMENTS].splitlines())
        try:
            return container.follow(names, ready)
        finally:
            container.stop()


class _Container:
    def __init__(
        self,
        published: Published,
        settings: ServingSettings,
        volumes: dict[Path, str],
        memory: str,
        image: str,
        flags: Sequence[str],
    ) -> None:
        self._name = f"gannet-serving-{secrets.token_hex(4)}"
        self._published, self._server = published, settings.server
        self._stop = StopSignal(last_words=self._end_at_once)
        # A session of its own: Ctrl-C is for this process, which then ends the server in good order.
        self._process = subprocess.Popen(
            [
                *("docker", "run", "--rm", "--name", self._name, *_CONFINED, "--memory", memory),
                *("--user", server_user(), "--entrypoint", PROGRAM),
                *(_mount(path, seen_as) for path, seen_as in volumes.items()),
                *self._publish(),
                *(image, *flags),
            ],
            stdout=2,
            start_new_session=True,
        )

    def follow(self, names: Sequence[str], ready: Callable[[str, str], None]) -> int:
        """Waits until the models serve, and then until the server is to stop."""
        for name in names:
            while not self._is_over() and not self._serves(name):
                time.sleep(0.1)
        if not self._is_over():
            ready(self._address(self._server.port), self._address(self._server.rest_port))
        while not self._is_over():
            time.sleep(0.1)
        if self._stop.number is None:
            raise ModelError(f"the server ended with exit code {self._process.poll()}; its log is above")
        return INTERRUPTED if self._stop.number == signal.SIGINT else 0

    def stop(self) -> None:
        """Asks the server to end; after ten seconds it is killed."""
        while self._process.poll() is None:
            if not _docker("stop", "--time", str(_GRACE_SECONDS), self._name):
                self._process.terminate()  # there is no container while Docker fetches the image
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)
        _docker("rm", "--force", self._name)  # made at the last moment

    def _end_at_once(self) -> None:
        self._process.kill()
        _docker("rm", "--force", self._name)

    def _is_over(self) -> bool:
        return self._stop.number is not None or self._process.poll() is not None

    def _serves(self, name: str) -> bool:
        address = self._address(self._server.port)
        if not address:
            return False
        with Client(address, model=name) as client:
            try:
                client.wait_ready(timeout=_PATIENCE_SECONDS)
            except GannetError:
                return False
        return True

    def _publish(self) -> list[str]:
        wanted = {self._server.port: self._published.port, self._server.rest_port: self._published.rest_port}
        host = self._published.host
        host = f"[{host}]" if ":" in host else host
        return [
            f"--publish={host}:{port or ''}:{inner}" for inner, port in wanted.items() if port is not None
        ]

    def _address(self, inner: int | None) -> str:
        """Where a port of the container is published; empty while it is not."""
        host, _, port = _docker("port", self._name, f"{inner}/tcp").partition("\n")[0].rpartition(":")
        return joined(host.strip("[]"), int(port)) if port else ""


def _docker(*arguments: str) -> str:
    """What a command of Docker prints; empty where it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _mount(path: Path, seen_as: str) -> str:
    """Docker reads this as CSV, in which a path between quotation marks may have any character."""
    source = str(path).replace('"', '""')
    return f'--mount=type=bind,"source={source}",target={seen_as},readonly'


def _require_docker() -> None:
    if shutil.which("docker") is None:
        raise UsageError("found no program docker: install it, or take --engine embedded")
    done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"Docker cannot be used: {' '.join(done.stderr.split())}")
