"""What tests of all packages share."""

import gc
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

import hypothesis
import pytest

from gannet_client import cli

hypothesis.settings.register_profile("gannet", deadline=None)  # timing decides no test
hypothesis.settings.load_profile("gannet")

# A script's `make test &` ignores Ctrl-C, and so would all programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spares the modules, TensorFlow's above all, from every collection that closing a model asks for."""
    gc.collect()
    gc.freeze()


class Ended(NamedTuple):
    code: int
    stdout: str
    stderr: str


@pytest.fixture
def gannet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs the program `gannet` in this process, as its console script does."""

    for name in ("GANNET_SERVER", "GANNET_MODEL", "GANNET_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["gannet", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            cli.main()
        captured = capsys.readouterr()
        return Ended(int(ending.value.code or 0), captured.out, captured.err)

    return call
