"""What tests of all packages share."""

import gc
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple

import hypothesis
import pytest

from gannet_client import cli
from tests.ports import free_port

hypothesis.settings.register_profile("gannet", deadline=None)  # timing decides no test
hypothesis.settings.load_profile("gannet")

# What `make test &` of a script ignores, and `nohup make test`, all programs that tests interrupt would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)  # no program inherits that


def pytest_collection_finish() -> None:
    """Spares the modules, TensorFlow's above all, from every collection that closing a model asks for."""
    gc.collect()
    gc.freeze()


@pytest.fixture(name="free_port")
def _free_port() -> int:
    return free_port()


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
