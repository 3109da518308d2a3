"""How TensorFlow comes into a server process, seen from a fresh one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = """
import gc, os, sys
from concurrent.futures import ThreadPoolExecutor
from gannet_serving.engine import import_tensorflow, load_model
from pathlib import Path

with ThreadPoolExecutor(4) as pool:
    for done in [pool.submit(import_tensorflow) for _ in range(4)]:
        done.result()
load_model(Path(sys.argv[1])).close()
assert gc.get_freeze_count() > 100_000
assert "keras" not in sys.modules
print("still heard", file=sys.stderr)
os.write(2, b"and here\\n")

import tensorflow as tf
print(tf.keras.layers.Dense(3)(tf.ones([2, 2])).shape)
"""


def test_it_comes_quietly_once_and_without_keras(saved_models: Any, tmp_path: Path) -> None:
    """Whoever wants Keras can still have it afterwards."""
    version = saved_models.write_gen(tmp_path / "1")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(version)],
        capture_output=True,
        text=True,
        timeout=120,
        env={key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert (done.returncode, done.stderr) == (0, "still heard\nand here\n")
    assert done.stdout == "(2, 3)\n"
