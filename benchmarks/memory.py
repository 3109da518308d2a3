"""Memory of a training run after 2,000 steps against the same run after 200.

A 16x16 DCGAN on the digits through `fit`, with all that a run writes: checkpoints, metrics, samples.
`ratio` is the resident memory late over early. Exits with 1 outside of the bound, which is two-sided.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from gannet_training.startup import start_tensorflow

BOUND, EARLY, LATE = 0.02, 200, 2_000


def main() -> None:
    start_tensorflow()
    import keras

    from gannet_training import Run, TrainConfig, batches, build
    from gannet_training.callbacks import Checkpoints, RunLog
    from gannet_training.data import open_data
    from gannet_training.event_log import EventLog

    class Probe(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.resident: dict[int, int] = {}

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.model.train_function.next_step in (EARLY, LATE):
                self.resident[self.model.train_function.next_step] = resident()

    shape: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 16}
    config = TrainConfig(model="dcgan", data="digits", steps=LATE, batch_size=16, **shape)
    probe = Probe()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        run, model, source = Run.prepare(Path(folder) / "run", config), build(config), open_data("digits")
        with contextlib.closing(EventLog(run.logs)) as events:
            model.fit(
                batches(source, batch_size=config.batch_size, draws=model.draws, seed=0),
                steps_per_epoch=100,
                epochs=LATE // 100,
                callbacks=[RunLog(run, events), Checkpoints(run, 50), probe],
                shuffle=False,
                verbose=0,
            )
    ratio = round(probe.resident[LATE] / probe.resident[EARLY], 4)
    megabytes = {step: bytes_ // 2**20 for step, bytes_ in probe.resident.items()}
    detail = {"compared with": f"step {EARLY}", "bound": 1 + BOUND, "resident_MiB": megabytes}
    print(json.dumps({"name": "memory", "ratio": ratio, "unit": "1", "detail": detail}))
    sys.exit(abs(ratio - 1) > BOUND)


def resident() -> int:
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
