"""The best epoch is kept, whatever happens to the run."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import ModelError, UsageError
from gannet_training.config import TrainConfig
from gannet_training.exporting import export_run
from gannet_training.run import Run
from gannet_training.trainer import load, train

Gannet = Callable[..., tuple[int, str, str]]
SPEEDS = ("images_per_second", "data_wait")


class Killed(keras.callbacks.Callback):
    """Ends the run as abruptly as an exception can."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.train_function.next_step == 75:
            raise RuntimeError("killed")


class Hill(keras.callbacks.Callback):
    """A measure of the user's own, highest in the second epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        logs["hill"] = -abs(epoch - 1.0)


def records(run: Run) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in record.items() if name not in SPEEDS} for record in run.read_metrics()
    ]


def weights(run: Run, checkpoint: str) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in load(run, checkpoint).variables]


@pytest.fixture
def config(config: TrainConfig) -> TrainConfig:
    """Epochs of 28 steps."""
    return config.model_copy(update={"steps": 90, "batch_size": 64, "best_metric": "g_loss"})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = TrainConfig(
        model="dcgan", data="digits", image_size=8, channels=1, steps=60, latent_dim=8, width=4
    )
    config = config.model_copy(update={"best_metric": "hill", "best_mode": "max"})
    return train(config, tmp_path_factory.mktemp("best") / "run", callbacks=[Hill()])


def test_a_killed_run_keeps_the_best_of_a_whole_one(tmp_path: Path, config: TrainConfig) -> None:
    whole = train(config, tmp_path / "whole", checkpoint_every=20)
    with pytest.raises(RuntimeError, match="killed"):
        train(config, tmp_path / "killed", checkpoint_every=20, callbacks=[Killed()])
    killed = train(config, tmp_path / "killed", checkpoint_every=20)
    # The epoch that was cut at step 60 has the means of a whole one.
    assert records(killed) == records(whole)
    standing = load(whole).standing
    measured = {record["step"]: record["g_loss"] for record in records(whole)}
    assert standing.best == min(measured.items(), key=lambda item: item[1])
    assert load(killed).standing.best == standing.best
    assert load(killed, "best").step == standing.best[0]
    for expected, received in zip(weights(whole, "best"), weights(killed, "best"), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_a_checkpoint_at_the_end_of_an_epoch_knows_of_it(tmp_path: Path, config: TrainConfig) -> None:
    run = train(config.model_copy(update={"steps": 56}), tmp_path / "run", checkpoint_every=28)
    assert [step for step, _ in run.checkpoints()] == [28, 56]
    measured = {record["step"]: record["g_loss"] for record in run.read_metrics()}
    assert load(run, "28").standing.best == (28, measured[28])
    assert load(run).standing.best == min(measured.items(), key=lambda item: item[1])


class Interrupted(keras.callbacks.Callback):
    """Ctrl-C, once or more often, while the second epoch is judged."""

    def __init__(self, signals: int) -> None:
        super().__init__()
        self._signals = signals

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch == 1:
            for _ in range(self._signals):
                signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("signals", "kept"), [(1, 56), (2, 40)])
def test_an_interruption_while_an_epoch_is_judged_leaves_none_out(
    signals: int, kept: int, tmp_path: Path, config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", checkpoint_every=20, callbacks=[Interrupted(signals)])
    assert f"stopped at step {kept}; the same command continues" in caplog.text
    run = train(config, tmp_path / "run")
    measured = {record["step"]: record["g_loss"] for record in run.read_metrics()}
    assert list(measured) == [28, 56, 84, 90]
    assert load(run).standing.best == min(measured.items(), key=lambda item: item[1])


def test_the_users_own_callback_decides(run: Run) -> None:
    assert [record["hill"] for record in run.read_metrics()] == [-1.0, 0.0, -1.0]
    assert load(run, "best").step == 56
    assert load(run).step == 60
    assert [step for step, _ in run.checkpoints()] == [60]


def test_a_function_of_the_users_own_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gannet: Gannet
) -> None:
    (tmp_path / "my_measures.py").write_text("def contrast(images):\n    return images.std()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ("--image-size", 8, "--width", 4, "--latent-dim", 8, "--steps", 56)
    best = ("--best-metric", "my_measures:contrast", "--best-mode", "max")
    code, _, error = gannet("train", "dcgan", "--data", "digits", "--out", "run", *options, *best)
    assert code == 0, error
    measured = {record["step"]: record["my_measures:contrast"] for record in Run(Path("run")).read_metrics()}
    assert load(Run(Path("run"))).standing.best == max(measured.items(), key=lambda item: item[1])
    code, _, error = gannet("train", "dcgan", "--data", "digits", "--out", "run", *options)
    assert code == 2
    assert "best_metric my_measures:contrast there, sliced_wasserstein here" in error


@pytest.mark.parametrize(
    ("metric", "message"),
    [("g_los", "did you mean 'g_loss'"), ("math:no_such", "has no 'no_such'")],
)
def test_a_measure_that_does_not_exist(
    tmp_path: Path, config: TrainConfig, metric: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train(config.model_copy(update={"best_metric": metric}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_commands_take_any_checkpoint(run: Run, tmp_path: Path, gannet: Gannet) -> None:
    pictures = {}
    for checkpoint in ("best", "latest", "60"):
        grid = tmp_path / f"{checkpoint}.png"
        code, _, error = gannet(
            "sample", run.path, "--seeds", "0-3", "--grid", grid, "--checkpoint", checkpoint
        )
        assert code == 0, error
        pictures[checkpoint] = grid.read_bytes()
    assert pictures["latest"] == pictures["60"] != pictures["best"]
    code, out, error = gannet(
        "export", run.path, "--models", tmp_path, "--name", "best", "--checkpoint", "best"
    )
    assert code == 0, error
    assert '"steps": 56' in (Path(out.strip()) / "assets.extra" / "gannet.json").read_text()
    code, _, error = gannet("sample", run.path, "--seeds", 0, "--out", tmp_path, "--checkpoint", 7)
    assert (code, error.count("\n")) == (4, 1)
    assert "has no checkpoint '7', expected one of: latest, 60, best" in error


def test_an_export_made_twice_from_one_run_draws_the_same(run: Run, tmp_path: Path) -> None:
    def exported(checkpoint: str) -> tuple[str, list[list[int]]]:
        version = export_run(run, tmp_path, "digits", checkpoint=checkpoint, max_batch=1)
        card = json.loads((version / contract.CARD_FILE).read_text(encoding="utf-8"))
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
            signature = loaded.signature_def[contract.SEEDED_PIXELS]
            given = {signature.inputs[contract.SEEDS].name: range(20)}
            return card["weights_sha256"], session.run(
                signature.outputs[contract.PIXELS].name, given
            ).tolist()

    (weights, pixels), (same_weights, same_pixels) = exported("best"), exported("best")
    assert (weights, pixels) == (same_weights, same_pixels)
    other_weights, other_pixels = exported("latest")
    assert weights != other_weights
    assert pixels != other_pixels


def test_without_a_metric_there_is_no_best(tmp_path: Path, config: TrainConfig) -> None:
    run = train(config.model_copy(update={"best_metric": "", "steps": 28}), tmp_path / "run")
    with pytest.raises(ModelError, match="no checkpoint 'best', expected one of: latest, 28"):
        load(run, "best")
