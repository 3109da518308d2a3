"""How images per second and memory grow with the batch size, the replicas and the steps per execution.

A 16x16 DCGAN of width 32; each setting trains in a process of its own, one after the other. Prints one line
per setting; `ratio` is its images per second over those of the first one of its kind. Replicas on one CPU
share its cores: what they show there is their cost, not their gain.
"""

import dataclasses
import json
import multiprocessing
import resource
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

TURNS, STEPS = 5, 16


@dataclasses.dataclass(frozen=True)
class Setting:
    batch_size: int = 64
    replicas: int = 1
    steps_per_execution: int = 1


SWEEPS = {
    "batch_size": [Setting(batch_size=size) for size in (16, 64, 256)],
    "replicas": [Setting(replicas=count) for count in (1, 2)],
    "steps_per_execution": [Setting(steps_per_execution=count) for count in (1, 4, 16)],
}


def main() -> None:
    spawn = multiprocessing.get_context("spawn")
    for kind, settings in SWEEPS.items():
        first = None
        for setting in settings:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=measure, args=(setting, theirs))
            process.start()
            speed, mebibytes = ours.recv()
            process.join()
            first = first or speed
            detail = {
                "compared with": dataclasses.asdict(settings[0]),
                "setting": dataclasses.asdict(setting),
                "images_per_second": round(speed, 1),
                "peak_MiB": mebibytes,
            }
            line = {
                "name": f"scaling_{kind}",
                "ratio": round(speed / first, 3),
                "unit": "1",
                "detail": detail,
            }
            print(json.dumps(line), flush=True)


def measure(setting: Setting, end: Connection) -> None:
    from gannet_training.startup import start_tensorflow

    start_tensorflow()
    from gannet_training import TrainConfig, batches, build
    from gannet_training.data import open_data
    from gannet_training.strategy import strategy

    where = strategy("mirrored" if setting.replicas > 1 else "single", setting.replicas)
    shape: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 32}
    config = TrainConfig(
        model="dcgan",
        data="digits",
        steps=STEPS * TURNS,
        batch_size=setting.batch_size,
        steps_per_execution=setting.steps_per_execution,
        **shape,
    )
    with where.scope():
        model = build(config)
    data = batches(open_data("digits"), batch_size=config.batch_size, draws=model.draws, seed=0)
    iterator = iter(where.experimental_distribute_dataset(data))
    run, speeds = model.make_train_function(), []
    for turn in range(TURNS + 1):
        started = time.perf_counter()
        for _ in range(STEPS // setting.steps_per_execution):
            run(iterator)
        if turn:
            speeds.append(STEPS * setting.batch_size / (time.perf_counter() - started))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    end.send((statistics.median(speeds), peak))


if __name__ == "__main__":
    main()
