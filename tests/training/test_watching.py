"""What a run shows of itself while it trains, and after."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from gannet_training.adversarial import AdversarialModel
from gannet_training.callbacks import RunLog
from gannet_training.config import TrainConfig
from gannet_training.data import in_memory
from gannet_training.event_log import EventLog
from gannet_training.pictures import draw_animation
from gannet_training.pipeline import batches
from gannet_training.run import Run
from gannet_training.trainer import build, train


class Killed(keras.callbacks.Callback):
    """Ends the run as abruptly as an exception can."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.train_function.next_step == 90:
            raise RuntimeError("killed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Killed at step 90 and resumed at step 50; epochs of 28 steps."""
    config = TrainConfig(
        model="dcgan", data="digits", image_size=8, channels=1, steps=112, latent_dim=8, width=4
    )
    out = tmp_path_factory.mktemp("watching") / "run"
    with pytest.raises(RuntimeError, match="killed"):
        train(config, out, checkpoint_every=50, callbacks=[Killed()])
    return train(config, out)


def test_every_epoch_tells_speed_rates_and_likeness(run: Run) -> None:
    for record in run.read_metrics():
        assert 0 <= record["data_wait"] <= 1
        assert record["images_per_second"] > 0
        assert record["g_learning_rate"] == record["d_learning_rate"] == 2e-4
        assert record["sliced_wasserstein"] > 0
        assert record["diversity"] > 0


def test_tensorboard_shows_every_step_of_a_resumed_run_once(run: Run) -> None:
    assert len(list(run.logs.iterdir())) == 2
    # The reader of the program `tensorboard`; the older `event_accumulator` forgets no tensors.
    events = EventAccumulator(str(run.logs), purge_orphaned_data=True).Reload()
    tags = events.Tags()["tensors"]
    assert {"d_loss_real", "d_loss_fake", "g_gradient_norm", "d_learning_rate", "samples"} <= set(tags)
    for tag in ("g_loss", "diversity"):
        assert [event.step for event in events.Tensors(tag)] == [28, 56, 84, 112]
    assert [event.step for event in events.Tensors("samples")] == [0, 28, 56, 84, 112]


def test_the_animation_shows_every_grid_and_rests_at_the_last(run: Run) -> None:
    with Image.open(run.path / "progress.gif") as animation:
        assert animation.n_frames == len(list(run.samples.iterdir())) == 5
        assert 256 <= max(animation.size) <= 512
        animation.seek(4)
        assert animation.info["duration"] == 2000
        last = np.asarray(animation.convert("L"))
    with Image.open(run.sample_grid(112)) as grid:
        times = animation.width // grid.width
        np.testing.assert_array_equal(last[::times, ::times], np.asarray(grid))


def test_a_grid_that_was_cut_short_is_left_out(run: Run) -> None:
    grid = run.sample_grid(56)
    whole = grid.read_bytes()
    for damaged in (whole[:10], whole[: len(whole) // 2]):
        grid.write_bytes(damaged)
        train(run.config(), run.path)
        with Image.open(run.path / "progress.gif") as animation:
            assert animation.n_frames == 4
    grid.write_bytes(whole)


def test_large_grids_are_reduced(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.samples.mkdir()
    for step in range(50):
        Image.new("RGB", (600, 300), (step, 0, 0)).save(run.sample_grid(step))
    with Image.open(draw_animation(run, tmp_path / "progress.gif")) as animation:
        assert animation.size == (512, 256)
        assert animation.n_frames == 40


def test_off_a_terminal_every_epoch_is_a_line(tmp_path: Path, gannet: Callable[..., Any]) -> None:
    options = ("--image-size", 8, "--width", 4, "--latent-dim", 8, "--steps", 60)
    code, out, error = gannet("train", "dcgan", "--data", "digits", "--out", tmp_path / "run", *options)
    assert code == 0
    assert "images/s" not in out
    lines = [line for line in error.splitlines() if line.startswith("epoch ")]
    assert [line.split(" - ")[:2] for line in lines] == [
        ["epoch 1", "step 28/60"],
        ["epoch 2", "step 56/60"],
        ["epoch 3", "step 60/60"],
    ]
    for line in lines:
        assert all(fact in line for fact in ("d_loss", "g_loss", "images/s", "% waiting for data"))
    assert " left - " in lines[0]
    assert "\r" not in error


def test_a_terminal_shows_a_bar(tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    shown: list[bytes] = []

    def watch() -> None:
        # A terminal that was closed cannot be read to an end: it is an error.
        with open(ours, "rb", buffering=0) as screen, contextlib.suppress(OSError):
            while True:
                shown.append(screen.read(1024))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with open(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        train(config, tmp_path / "run")
    watcher.join(60)
    text = b"".join(shown).decode()
    assert text.count("\n") <= 1
    assert "━" * 20 + " 20/20" in text
    assert "\x1b[K" in text


def test_training_outlives_its_terminal(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.openpty()
    os.close(ours)
    # Closing it, too, finds nobody there.
    with (
        contextlib.suppress(OSError),
        open(theirs, "w", encoding="utf-8") as terminal,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stderr", terminal)
        train(config, tmp_path / "run")
    assert Run.open(tmp_path / "run").latest_checkpoint().name == "step-00000020.weights.h5"


def test_waiting_is_not_told_where_it_cannot_be_measured(tmp_path: Path, config: TrainConfig) -> None:
    run = train(config.model_copy(update={"steps_per_execution": 5}), tmp_path / "run")
    (record,) = run.read_metrics()
    assert "data_wait" not in record
    assert record["images_per_second"] > 0


def test_a_schedule_shows_in_the_learning_rates(tmp_path: Path, config: TrainConfig) -> None:
    run = Run.prepare(tmp_path / "run", config)
    model: AdversarialModel = build(config)
    schedule = keras.optimizers.schedules.PolynomialDecay(0.25, decay_steps=8, end_learning_rate=0.0)
    model.compile(keras.optimizers.SGD(schedule), keras.optimizers.SGD(0.5))
    data = batches(in_memory(np.zeros([64, 8, 8, 1], np.uint8)), batch_size=8, draws=model.draws, seed=0)
    log = RunLog(run, EventLog(run.logs))
    model.fit(data, steps_per_epoch=2, epochs=3, callbacks=[log], verbose=0, shuffle=False)
    rates = [(record["g_learning_rate"], record["d_learning_rate"]) for record in run.read_metrics()]
    assert rates == [(0.1875, 0.5), (0.125, 0.5), (0.0625, 0.5)]


def test_a_measure_that_is_no_number_is_valid_json(tmp_path: Path, config: TrainConfig) -> None:
    run = Run.prepare(tmp_path / "run", config)
    log = RunLog(run, EventLog(run.logs))
    log.set_model(build(config))
    log.on_epoch_end(0, {"d_loss": float("nan"), "g_loss": np.float32(0.5)})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    record = json.loads(run.metrics.read_text(), parse_constant=refuse)
    assert (record["d_loss"], record["g_loss"]) == (None, 0.5)
    assert tf.io.gfile.listdir(str(run.logs))
