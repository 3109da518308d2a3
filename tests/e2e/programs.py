"""The installed programs, each in a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 900.0
"""Seconds, on the slowest machine."""


class Spine(NamedTuple):
    run: Path
    models: Path


def gannet(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The installed program, in a process of its own."""
    command = [BIN / "gannet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@contextlib.contextmanager
def serving(models: Path) -> Iterator[str]:
    """`gannet serve` on a free port; gives HOST:PORT."""
    command = [BIN / "gannet", "serve", models, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            assert server.wait(PATIENCE) == 0
