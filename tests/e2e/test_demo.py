"""`make demo`: the whole path, leaving pictures and no process behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.programs import PATIENCE, ROOT

pytestmark = pytest.mark.timeout(1800)


def start(directory: Path) -> subprocess.Popen[str]:
    """The demo in a process group of its own, as a terminal would start it."""
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "demo.py", "--steps", "40"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def assert_no_process_is_left(group: int) -> None:
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_it_leaves_pictures_and_no_process(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "own").write_text("of the user")
    with start(tmp_path) as demo:
        out, error = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 0, error
    assert_no_process_is_left(demo.pid)
    assert "version 1 of digits" in out
    for step in ("train", "export", "serve", "ask for 64 images"):
        assert step in out
    pictures = tmp_path / "demo"
    assert (pictures / "own").exists()
    for name in ("samples.png", "losses.png", "progress.png"):
        with Image.open(pictures / name) as picture:
            assert np.asarray(picture).std() > 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_no_process(tmp_path: Path, sent: signal.Signals) -> None:
    with start(tmp_path) as demo:
        assert demo.stderr
        while "training" not in (line := demo.stderr.readline()):
            assert line, "the demo ended before it trained"
        if sent == signal.SIGINT:  # a terminal sends it to the whole group
            os.killpg(demo.pid, sent)
        else:
            demo.send_signal(sent)
        demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130
    assert_no_process_is_left(demo.pid)
