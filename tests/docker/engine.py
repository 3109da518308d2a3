"""The Docker engine itself, where it is there for the tests alone."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

restarts_engine = pytest.mark.skipif(
    os.environ.get("GANNET_TESTS_MAY_RESTART_DOCKER") != "1",
    reason="restarts the Docker engine of this machine; GANNET_TESTS_MAY_RESTART_DOCKER=1 allows it",
)
_PATIENCE_SECONDS = 60


def restart_engine() -> None:
    """Ends the engine in good order and starts it with the same command line."""
    [pid] = [int(entry.name) for entry in Path("/proc").iterdir() if _program(entry) == "dockerd"]
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    os.kill(pid, signal.SIGTERM)
    _wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the Docker engine has ended")
    with Path(os.devnull).open("r+") as nothing:
        subprocess.run(
            ["setsid", "--fork", *command], stdin=nothing, stdout=nothing, stderr=nothing, check=True
        )
    _wait_until(_answers, "the Docker engine answers again")


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, timeout=_PATIENCE_SECONDS).returncode == 0


def _wait_until(happened: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < end, f"waited {_PATIENCE_SECONDS} s until {what}"
        time.sleep(0.2)
