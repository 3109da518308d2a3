"""A run that is killed without warning, on two replicas, and taken up again."""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

COMMAND = [str(Path(sys.executable).parent / "gannet"), "train", "dcgan"]
SETTINGS = (
    *("--data", "digits", "--image-size", "8", "--width", "4", "--latent-dim", "8", "--steps", "120"),
    *("--discriminator-steps", "2", "--strategy", "mirrored", "--replicas", "2", "--checkpoint-every", "10"),
)


def start(out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *SETTINGS, "--out", out], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(out: Path) -> str:
    with start(out) as process:
        _, error = process.communicate(timeout=200)
    assert process.returncode == 0, error.decode()
    return error.decode()


def checkpoints(out: Path) -> set[str]:
    return {path.name for path in (out / "checkpoints").glob("step-*")}


@contextlib.contextmanager
def after_another_checkpoint(out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Gives the process at an arbitrary moment: some steps after a new checkpoint came."""
    before = checkpoints(out)
    with start(out) as process:
        while not checkpoints(out) - before:
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            time.sleep(0.01)
        yield process


def killed_after_another_checkpoint(out: Path) -> None:
    with after_another_checkpoint(out) as process:
        process.kill()


def interrupted_after_another_checkpoint(out: Path) -> None:
    """Ctrl-C, or SIGTERM: a checkpoint of the very step is kept."""
    with after_another_checkpoint(out) as process:
        process.terminate()
        _, error = process.communicate(timeout=200)
    assert process.returncode == 130
    told = re.search(r"stopped at step (\d+); the same command continues$", error.decode(), re.MULTILINE)
    assert told, error.decode()
    assert f"step-{int(told[1]):08d}.weights.h5" in checkpoints(out)


def arrays(out: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(out / "checkpoints" / "step-00000120.weights.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def test_it_ends_with_the_bytes_of_a_run_that_was_never_killed(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    killed_after_another_checkpoint(out)
    assert max(checkpoints(out)) < "step-00000120"
    interrupted_after_another_checkpoint(out)
    assert "step-00000120.weights.h5" not in checkpoints(out)
    assert "resuming" in finish(out)
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    finish(tmp_path / "whole")
    killed, whole = arrays(out), arrays(tmp_path / "whole")
    assert killed.keys() == whole.keys()
    assert len(whole) > 40
    for name, expected in whole.items():
        if not name.startswith(("d_loss", "g_loss", "d_real", "d_fake")):
            np.testing.assert_array_equal(killed[name], expected, err_msg=name)
