"""Several workers train one model: with the result of one device, or not at all."""

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gannet_training.adversarial import AdversarialModel
from gannet_training.config import TrainConfig
from gannet_training.data import open_data
from gannet_training.pipeline import batches
from gannet_training.run import Run
from tests.training.job_of_two import Job, gannet, start
from tests.training.test_replicas import largest_difference, trained

WORKER = Path(__file__).with_name("one_worker.py")
ENDS_WITHIN = 60
"""Seconds: the promise, when a worker dies."""


@pytest.fixture
def config(config: TrainConfig) -> TrainConfig:
    options = {"objective": "wasserstein", "discriminator_steps": 2, "gradient_penalty": 10.0}
    return config.model_copy(update={"label_smoothing": 0.0, **options})


@pytest.fixture
def jobs() -> Iterator[list[Job]]:
    """Jobs to end, however the test ends."""
    running: list[Job] = []
    yield running
    for job in running:
        job.kill()


@pytest.mark.usefixtures("float64")
def test_two_workers_agree_with_one_device_and_stop_together(
    config: TrainConfig,
    single: tf.distribute.Strategy,
    tmp_path: Path,
    jobs: list[Job],
) -> None:
    places = [tmp_path / str(rank) for rank in range(2)]
    for place in places:
        place.mkdir()
    job = start(*([sys.executable, WORKER, config.model_dump_json(), place] for place in places))
    jobs.append(job)
    model = trained(config, single, steps=config.steps)
    for place in places:
        job.await_file(place / "learnt")
    first, second = (np.load(place / "learnt.npz") for place in places)
    learnt = [name for name in first.files if name.startswith("arr_")]
    for name in learnt:
        np.testing.assert_array_equal(first[name], second[name])
    workers = [first[name] for name in learnt]
    assert sum(value.dtype == np.float64 for value in workers) > 30
    assert largest_difference(workers, weights(model)) < 1e-10
    for name, rows in first_batch(config, model).items():
        parts = [worker[f"first_{name}"] for worker in (first, second)]
        assert [len(part) for part in parts] == [8, 8]
        np.testing.assert_array_equal(np.concatenate(parts), rows)
    refusal, same = ((place / "refusal").read_text() for place in places)
    assert refusal == same
    assert re.fullmatch(
        r"expected the same data on every worker, received of worker 0 \(127\.0\.0\.1:\d+\) and "
        r"worker 1 \(127\.0\.0\.1:\d+\): content [0-9a-f]{8} and [0-9a-f]{8}",
        refusal,
    )

    job.processes[1].send_signal(signal.SIGTERM)
    for place in places:
        job.await_file(place / "stopped")
    one, two = (int((place / "step").read_text()) for place in places)
    assert one == two > config.steps

    job.processes[0].kill()
    _, left = job.ended(ENDS_WITHIN)
    assert left.code == 1
    assert "WorkerLost: lost worker 0 (127.0.0.1:" in last_line(left.stderr)


def weights(model: AdversarialModel) -> list[np.ndarray]:
    optimizers = [*model.optimizer.variables, *model.discriminator_optimizer.variables]
    return [np.asarray(variable) for variable in [*model.weights, *optimizers]]


def first_batch(config: TrainConfig, model: AdversarialModel) -> dict[str, np.ndarray]:
    data = batches(
        open_data(config.data, image_size=config.image_size),
        batch_size=config.batch_size,
        draws=model.draws,
        seed=config.seed,
        discriminator_steps=config.discriminator_steps,
    )
    batch: dict[str, np.ndarray] = next(data.as_numpy_iterator())
    assert batch.keys() == {"images", "noise", "alpha"}
    return batch


SETTINGS = (
    *("--data", "digits", "--image-size", 8, "--width", 4, "--latent-dim", 8, "--batch-size", 16),
    *("--checkpoint-every", 10),
)


def training(out: Path, elsewhere: Path, steps: int) -> Job:
    """The same command on both machines; only the chief's has the run's directory."""
    commands = (gannet("train", "gan", "--out", where, *SETTINGS) for where in (out, elsewhere))
    return start(*([*command, "--steps", steps] for command in commands))


def test_a_worker_that_dies_ends_the_job_which_then_resumes(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, elsewhere, temporary = tmp_path / "run", tmp_path / "elsewhere", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    job = training(out, elsewhere, steps=1_000_000)
    jobs.append(job)
    job.await_file(out / "checkpoints" / "step-00000010.weights.h5")
    job.processes[1].kill()
    chief, _ = job.ended(ENDS_WITHIN)
    assert chief.code == 1
    assert last_line(chief.stderr).startswith("gannet: lost worker 1 (127.0.0.1:")
    (introduction,) = (line for line in chief.stderr.splitlines() if line.startswith("rank "))
    assert introduction.startswith("rank 0 of 2, worker 0 (127.0.0.1:")
    assert introduction.endswith("on CPU:0 (2 replicas in all); is the chief and writes the run")
    reached, _ = Run(out).checkpoints()[-1]

    job = training(out, elsewhere, steps=reached + 20)
    jobs.append(job)
    chief, worker = job.ended()
    assert (chief.code, worker.code) == (0, 0), chief.stderr
    assert f"resuming {out} at step {reached}" in chief.stderr.splitlines()
    assert chief.stdout.startswith(f"{out} is at step {reached + 20} after ")
    assert worker.stdout == ""
    assert Run(out).checkpoints()[-1][0] == reached + 20
    assert not elsewhere.exists()
    assert not list(temporary.glob("gannet*"))


def last_line(text: str) -> str:
    """But for those of TensorFlow's own threads, which write whenever they do."""
    return [line for line in text.splitlines() if not re.match(r"[IWEF]\d{4} ", line)][-1]
