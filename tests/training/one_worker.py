"""One worker of a job: learns in float64, goes on until it is stopped, then until it is killed.

Arguments: the configuration as JSON, and a directory for what this worker got, what it learnt, the refusal of
a set of data of its own, and the step that it was stopped at.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from gannet_client.errors import UsageError
from gannet_training import AdversarialModel, TrainConfig, batches, build
from gannet_training.data import fingerprint, in_memory, open_data
from gannet_training.strategy import strategy
from gannet_training.workers import Workers

ENDLESS = 1_000_000


def main(config: TrainConfig, out: Path) -> None:
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    where = strategy("multiworker")
    workers = Workers(where)
    images = np.full([9, 8, 8, 1], 10 * int(where.cluster_resolver.task_id), np.uint8)
    try:
        workers.require_same("data", lambda: fingerprint(in_memory(images)))
    except UsageError as error:
        (out / "refusal").write_text(str(error))
    with where.scope():
        model = build(config)
    data = workers.share(lambda part: batches_of(config, model, part))
    with workers.watched():
        (first,) = where.experimental_local_results(next(iter(data)))
        model.fit(data, steps_per_epoch=config.steps, shuffle=False, verbose=0)
        learnt = [*model.weights, *model.optimizer.variables, *model.discriminator_optimizer.variables]
        rows = {f"first_{name}": value for name, value in first.items()}
        np.savez(out / "learnt.npz", *map(np.asarray, learnt), **rows)
        try:
            with workers.stopping() as stop:
                (out / "learnt").touch()
                model.fit(data, steps_per_epoch=ENDLESS, shuffle=False, verbose=0, callbacks=stop)
        except KeyboardInterrupt:
            (out / "step").write_text(str(model.step))
        (out / "stopped").touch()
        model.fit(data, steps_per_epoch=ENDLESS, shuffle=False, verbose=0)


def batches_of(config: TrainConfig, model: AdversarialModel, part: tuple[int, int]) -> tf.data.Dataset:
    return batches(
        open_data(config.data, image_size=config.image_size),
        batch_size=config.batch_size,
        draws=model.draws,
        seed=config.seed,
        discriminator_steps=config.discriminator_steps,
        part=part,
    )


if __name__ == "__main__":
    main(TrainConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
