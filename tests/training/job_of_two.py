"""Jobs of two workers, each a process of its own, over the loopback."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.ports import free_ports

PATIENCE = 240
"""Seconds after which a job hangs; no test depends on how much sooner it ends."""


class Ended(NamedTuple):
    code: int
    stdout: str
    stderr: str


@dataclass
class Job:
    """Two running workers."""

    processes: list[subprocess.Popen[str]]

    def ended(self, patience: float = PATIENCE) -> list[Ended]:
        """Wait for both; by rank."""
        deadline = time.monotonic() + patience
        texts = [process.communicate(timeout=deadline - time.monotonic()) for process in self.processes]
        return [Ended(process.returncode, *text) for process, text in zip(self.processes, texts, strict=True)]

    def await_file(self, path: Path) -> None:
        """Wait until the workers have written a file."""
        deadline = time.monotonic() + PATIENCE
        while not path.exists():
            assert all(process.poll() is None for process in self.processes), self.ended()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        """Leave nothing behind."""
        for process in self.processes:
            process.kill()
            process.wait()


def start(*commands: list[object]) -> Job:
    """Start one command per rank."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(commands))]
    return Job(
        [
            subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, "TF_CONFIG": _config(addresses, rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank, command in enumerate(commands)
        ]
    )


def gannet(*arguments: object) -> list[object]:
    return [Path(sys.executable).parent / "gannet", *arguments]


def _config(addresses: list[str], rank: int) -> str:
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}})
