"""The programs as processes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROGRAMS = {
    "gannet": "from gannet_client.cli import main; main()",
    "gannet-model-server": "from gannet_serving.main import main; main()",
}
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}


def command(program: str, *arguments: object) -> list[str]:
    """The program as installed, in this interpreter."""
    return [sys.executable, "-W", "error", "-c", PROGRAMS[program], *map(str, arguments)]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(program, *arguments), capture_output=True, text=True, timeout=120, env=ENVIRONMENT
    )


FEW_FILES = ["sh", "-c", 'ulimit -S -n 256; exec "$@"', "sh"]
"""Goes before a command that is to begin with few files, as in some shells."""


class Process:
    """A program that runs; its stderr is read line by line."""

    def __init__(
        self,
        program: str,
        *arguments: object,
        stderr: Any = subprocess.PIPE,
        before: Sequence[str] = (),
    ) -> None:
        self._popen = subprocess.Popen(
            [*before, *command(program, *arguments)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        self.log: list[str] = []

    def read_log_until(self, pattern: str) -> str:
        """Reads stderr up to the line that `pattern` is found in, and returns it."""
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self.log.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return self.log[-1]
        raise AssertionError(f"no line with {pattern!r} in {self.log}")

    def read_stdout_line(self) -> str:
        assert self._popen.stdout is not None
        return self._popen.stdout.readline()

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns the exit code and what was left on stdout."""
        stdout, stderr = self._popen.communicate(timeout=60)
        self.log += stderr.splitlines()
        return self._popen.returncode, stdout

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has held so far."""
        status = Path(f"/proc/{self._popen.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]

    def kill(self) -> None:
        self._popen.kill()
        self._popen.communicate()
