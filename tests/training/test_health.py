"""Trainings that go wrong, and what becomes of them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from gannet_training.adversarial import AdversarialModel
from gannet_training.config import TrainConfig
from gannet_training.data import in_memory
from gannet_training.health import Health, Unhealthy
from gannet_training.pipeline import batches
from gannet_training.precision import computing_in
from gannet_training.run import Run
from gannet_training.trainer import load, train

Gannet = Callable[..., tuple[int, str, str]]
MODULE = """
import keras
from keras import layers

def networks(image_shape, latent_dim, noise=1.0, contrast=1.0):
    generator = keras.Sequential([
        keras.Input([latent_dim]), layers.Rescaling(noise), layers.Dense(16, "relu"), layers.Dense(64),
        layers.Rescaling(contrast), layers.Activation("tanh"), layers.Reshape(image_shape)])
    discriminator = keras.Sequential([
        keras.Input(image_shape), layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(1)])
    return generator, discriminator
"""
LOSING = {"learning_rate": 1e-9, "discriminator_learning_rate": 0.05}
ILL: dict[str, dict[str, Any]] = {
    "discriminator saturated": LOSING,
    "dead critic": {"objective": "wasserstein", "weight_clip": 1e-9},
    "generator gradient vanished": {"options": {"contrast": 1e12}, "discriminator_learning_rate": 1e-5},
    "collapsed diversity": {"options": {"noise": 0.0}, "ema_half_life": 0.0},
}


@pytest.fixture
def game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainConfig]:
    """A game of 3 epochs and a bit between small networks of the user's own."""
    name = f"ill_{tmp_path.name.replace('[', '_').replace(']', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    shape = {"data": "digits", "image_size": 8, "channels": 1, "latent_dim": 8}
    settings = {"model": f"{name}:networks", "steps": 160, "batch_size": 36, "learning_rate": 1e-3}

    def make(**options: Any) -> TrainConfig:
        return TrainConfig.parse({**shape, **settings, **options})

    return make


@pytest.mark.parametrize(("name", "options"), ILL.items(), ids=ILL.keys())
def test_a_symptom_is_named_and_training_goes_on(
    game: Callable[..., TrainConfig],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    options: dict[str, Any],
) -> None:
    run = train(game(**options), tmp_path / "run")
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [message.partition(" at step ")[0] for message in told] == [name]
    assert load(run).step == 160


def test_a_healthy_training_is_left_in_peace(
    game: Callable[..., TrainConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = game(objective="wasserstein", gradient_penalty=10.0)
    train(config, tmp_path / "run", on_symptom="stop")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_symptom_stops_the_command(
    game: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gannet: Gannet
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("train", game().model, "--data", "digits", "--out", "run", "--image-size", 8, "--steps", 400)
    rates = ("--learning-rate", 1e-9, "--discriminator-learning-rate", 0.05)
    options = ("--latent-dim", 8, "--batch-size", 36, "--checkpoint-every", 60, "--on-symptom", "stop")
    code, out, error = gannet(*command, *rates, *options)
    assert (code, out) == (1, "")
    last = error.splitlines()[-1]
    assert last.startswith("gannet: discriminator saturated at step 196: the discriminator tells real from")
    assert "lower --discriminator-learning-rate" in last
    assert last.endswith("training stopped, the checkpoint of step 180 is kept")


def test_a_term_that_is_not_finite_stops_training_at_once(
    game: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    config = game(optimizer="sgd", learning_rate=1e12)
    with pytest.raises(Unhealthy, match=r"^non-finite term at step 2: g_loss is infinite or not") as stop:
        train(config, tmp_path / "run", checkpoint_every=1)
    assert str(stop.value).endswith("the checkpoint of step 1 is kept")
    assert [step for step, _ in Run(tmp_path / "run").checkpoints()] == [1]


class Poison(keras.callbacks.Callback):
    """Puts a value that is no number into a weight, in the course of the run before a roll-back."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step
        self.seen: list[np.ndarray] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.train_function.next_step == self._step:
            variable = self.model.generator.trainable_variables[0]
            self.seen.append(np.asarray(variable))
            if not self.model.standing.made_roll_backs:
                variable.assign(np.full(variable.shape, np.nan))


class Killed(keras.callbacks.Callback):
    """Ends the run as abruptly as an exception can."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.train_function.next_step == self._step:
            raise RuntimeError("killed")


def state(run: Run, checkpoint: str = "latest") -> list[np.ndarray]:
    model = load(run, checkpoint)
    optimizers = [*model.optimizer.variables, *model.discriminator_optimizer.variables]
    return [np.asarray(variable) for variable in [*model.variables, *optimizers]]


def test_no_checkpoint_holds_a_weight_that_is_no_number(
    game: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    with pytest.raises(Unhealthy, match=r"at step 60: the weight \S+kernel is infinite or not a number"):
        train(game(), tmp_path / "run", checkpoint_every=30, callbacks=[Poison(60)])
    run = Run(tmp_path / "run")
    assert [step for step, _ in run.checkpoints()] == [30]
    assert all(np.isfinite(value).all() for value in state(run))


def test_a_rolled_back_run_goes_another_way_which_resumes_exactly(
    game: Callable[..., TrainConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"on_symptom": "roll-back", "checkpoint_every": 15}
    poison, config = Poison(57), game(steps=65)
    whole = train(config, tmp_path / "whole", callbacks=[poison], **options)
    assert "rolled back to step 45 (1 of 3)" in caplog.text
    before, after = poison.seen
    assert (before != after).any()
    assert load(whole).standing.made_roll_backs == 1
    assert [record["step"] for record in whole.read_metrics()] == [49, 65]

    with pytest.raises(RuntimeError, match="killed"):
        train(config, tmp_path / "resumed", callbacks=[poison, Killed(63)], **options)
    assert [step for step, _ in Run(tmp_path / "resumed").checkpoints()] == [30, 45, 49]
    resumed = train(config, tmp_path / "resumed", **options)
    for expected, received in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_roll_backs_come_to_an_end(
    game: Callable[..., TrainConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"on_symptom": "roll-back", "roll_backs": 1, "checkpoint_every": 40}
    with pytest.raises(Unhealthy, match=r"saturated.*stopped after 1 roll-back, the checkpoint of step"):
        config = game(**LOSING, steps=400, best_metric="d_loss", best_mode="max")
        train(config, tmp_path / "run", **options)
    # It began after step 49. The last checkpoints are all of later steps, the best one is not.
    assert "saturated at step 196" in caplog.text
    assert "rolled back to step 49" in caplog.text


def small_game(rate: float) -> AdversarialModel:
    layers = keras.layers
    generator = keras.Sequential([keras.Input([3]), layers.Dense(64), layers.Reshape([8, 8, 1])])
    discriminator = keras.Sequential([keras.Input([8, 8, 1]), layers.Flatten(), layers.Dense(1)])
    gan = AdversarialModel(generator, discriminator, latent_dim=3)
    gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    return gan


def test_health_watches_any_fit_of_an_adversarial_model() -> None:
    gan = small_game(rate=1e25)
    images = in_memory(np.full([8, 8, 8, 1], 200, np.uint8))
    data = batches(images, batch_size=8, draws=gan.draws, seed=0)
    with pytest.raises(Unhealthy, match="non-finite term"):
        gan.fit(data, steps_per_epoch=9, callbacks=[Health()], verbose=0, shuffle=False)
    assert gan.step < 9


def test_a_gradient_that_float16_cannot_hold_is_no_symptom_while_the_loss_scale_can_fall() -> None:
    with computing_in("float16"):
        gan = small_game(rate=0.1)
    images = in_memory(np.full([8, 8, 8, 1], np.inf, np.float32))
    data = batches(images, batch_size=8, draws=gan.draws, seed=0)
    gan.fit(data, steps_per_epoch=1, callbacks=[Health()], verbose=0, shuffle=False)
    gan.guard.factor.assign(1.0)
    with pytest.raises(Unhealthy, match="non-finite term"):
        gan.fit(data, steps_per_epoch=1, callbacks=[Health()], verbose=0, shuffle=False)
