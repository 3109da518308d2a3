"""A run that is killed without warning, on two replicas, and taken up again."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

COMMAND = [str(Path(sys.executable).parent / "gannet"), "train", "dcgan"]
SETTINGS = (
    *("--data", "mortal:digits", "--image-size", "8", "--width", "4", "--latent-dim", "8", "--steps", "120"),
    *("--discriminator-steps", "2", "--strategy", "mirrored", "--replicas", "2", "--checkpoint-every", "10"),
)
NATIVE = re.compile(r"^[IWEF]\d{4} .*$|^WARNING.*$", re.MULTILINE)
"""What TensorFlow writes to stderr by itself."""
MORTAL = '''
"""The digits, read by a process that sends itself a signal some batches after a new checkpoint came."""

import itertools, os, random, time
from pathlib import Path

from gannet_training.data import open_data
from gannet_training.data.source import from_reader

SIGNAL, RUN = int(os.environ["SIGNAL"]), Path(os.environ["RUN"])
before, late = set(RUN.glob("checkpoints/step-*")), itertools.count()


def digits():
    source = open_data("digits", image_size=8)
    pixels = ((source.fetch(range(source.size)).numpy() + 1) * 127.5).astype("uint8")

    def read(indices):
        if SIGNAL and set(RUN.glob("checkpoints/step-*")) - before and next(late) == 12:
            time.sleep(random.uniform(0, 0.02))
            os.kill(os.getpid(), SIGNAL)
        return pixels[indices]

    return from_reader(read, source.size, source.image_shape)
'''


def start(out: Path, sent: int = 0) -> subprocess.Popen[str]:
    """Start the command; it ends at an arbitrary moment if it is to send itself a signal."""
    library = out.parent / "mortal.py"
    library.write_text(MORTAL)
    path = os.pathsep.join([str(out.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "SIGNAL": str(int(sent)), "RUN": str(out)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [*COMMAND, *SETTINGS, "--out", out]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        _, error = process.communicate(timeout=240)
    return process.returncode, error


def checkpoints(out: Path) -> set[str]:
    return {path.name for path in (out / "checkpoints").glob("step-*")}


def arrays(out: Path, checkpoint: str) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(out / "checkpoints" / f"{checkpoint}.weights.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def test_it_ends_with_the_bytes_of_a_run_that_was_never_killed(tmp_path: Path) -> None:
    out, never_killed = tmp_path / "killed", start(tmp_path / "whole")
    code, error = ended(start(out, signal.SIGKILL))
    assert code == -signal.SIGKILL, error
    assert "step-00000010.weights.h5" <= max(checkpoints(out)) < "step-00000120"

    code, error = ended(start(out, signal.SIGHUP))
    assert code == 130, error
    assert "resuming" in error
    told = re.search(r"stopped at step (\d+); the same command continues$", error, re.MULTILINE)
    assert told, error
    assert f"step-{int(told[1]):08d}.weights.h5" in checkpoints(out)
    assert "step-00000120.weights.h5" not in checkpoints(out)

    code, error = ended(start(out))
    assert code == 0, error
    assert "resuming" in error

    code, error = ended(never_killed)
    assert code == 0, error
    assert not NATIVE.findall(error)
    for checkpoint in ("step-00000120", "best"):
        killed, whole = arrays(out, checkpoint), arrays(tmp_path / "whole", checkpoint)
        assert killed.keys() == whole.keys()
        assert len(whole) > 40
        for name, expected in whole.items():
            # Sums over an epoch are divided among the replicas anew when it is resumed.
            tolerance = 1e-5 if "standing" in name else 0.0
            np.testing.assert_allclose(killed[name], expected, rtol=tolerance, err_msg=name)
    assert measures(out) == [pytest.approx(record, rel=1e-5) for record in measures(tmp_path / "whole")]


def measures(out: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    speeds = {"images_per_second", "data_wait"}
    return [{name: record[name] for name in record.keys() - speeds} for record in records]
