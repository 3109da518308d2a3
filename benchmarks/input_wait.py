"""How much of a training step of the 32x32x3 DCGAN, batch 64, is spent waiting for the next batch.

Two sources: images in memory, and PNG files of 40x40 pixels that are read, decoded and resized while the step
computes. `ratio` is the waiting over the wall time, the larger of both. Exits with 1 above the bound.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dcgan_steps
import numpy as np

BOUND, WARM_UP, STEPS, FILES = 0.03, 3, 30, 512


def main() -> None:
    from gannet_training.startup import start_tensorflow

    start_tensorflow()
    from gannet_training.data import in_memory, open_data

    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        shares = {
            "in memory": share(in_memory(dcgan_steps.images())),
            "files": share(open_data(f"folder:{folder}", image_size=32, channels=3)),
        }
    worst = round(max(shares.values()), 4)
    detail = {"compared with": "the whole wall time", "bound": BOUND, "shares": shares}
    print(json.dumps({"name": "input_wait", "ratio": worst, "unit": "1", "detail": detail}))
    sys.exit(worst > BOUND)


def write_images(folder: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for place in range(FILES):
        Image.fromarray(random.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{place}.png")


def share(source: Any) -> float:
    from gannet_training import batches

    gan = dcgan_steps.model()
    run = gan.make_train_function()
    iterator = iter(batches(source, batch_size=dcgan_steps.BATCH, draws=gan.draws, seed=0))
    for _ in range(WARM_UP):
        run(iterator)
    started, before = time.perf_counter(), run.waited
    for _ in range(STEPS):
        run(iterator)
    return round((run.waited - before) / (time.perf_counter() - started), 4)


if __name__ == "__main__":
    main()
