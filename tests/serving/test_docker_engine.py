"""`gannet serve --engine docker` while the image is still fetched, drawn out by a stand-in for Docker."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.processes import Process

DOCKER = """#!/bin/sh
case $1 in
  version) ;;
  run) {trap} echo $$ > {folder}/fetching; exec sleep 300 ;;
  port) mv {folder}/fetching {folder}/asked-for 2> /dev/null; exit 1 ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], tuple[Process, int]]]:
    """Starts a server in Docker; gives it and the process that fetches the image."""
    (tmp_path / "models" / "gen" / "1").mkdir(parents=True)
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    processes = []

    def start(trap: str) -> tuple[Process, int]:
        program.write_text(DOCKER.format(trap=trap, folder=tmp_path))
        program.chmod(0o755)
        path = f"PATH={program.parent}:{os.environ['PATH']}"
        arguments = ("serve", tmp_path / "models", "--engine", "docker", "--port", 0)
        processes.append(Process("gannet", *arguments, before=("env", path)))
        asked_for = tmp_path / "asked-for"
        while not (asked_for.exists() and asked_for.read_text().endswith("\n")):
            time.sleep(0.01)
        return processes[-1], int(asked_for.read_text())

    yield start
    for process in processes:
        process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_a_signal_ends_the_fetching(
    serve: Callable[[str], tuple[Process, int]], number: signal.Signals, code: int
) -> None:
    process, fetching = serve("")
    process.send(number)
    assert process.end() == (code, "")
    assert not Path(f"/proc/{fetching}").exists()


def test_a_second_signal_ends_it_by_force(serve: Callable[[str], tuple[Process, int]]) -> None:
    process, fetching = serve("trap '' TERM;")
    process.send(signal.SIGINT)
    process.send(signal.SIGTERM)
    assert process.end() == (143, "")
    while is_running(fetching):  # a moment after SIGKILL
        time.sleep(0.01)


def test_a_terminal_that_hangs_up_twice_hurries_nothing(
    serve: Callable[[str], tuple[Process, int]],
) -> None:
    process, fetching = serve("")
    process.send(signal.SIGHUP)
    process.send(signal.SIGHUP)
    assert process.end() == (0, "")
    assert not Path(f"/proc/{fetching}").exists()


def is_running(process: int) -> bool:
    """Whether it is there, and not only its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
