"""A run that starts from the weights of another."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gannet_client.errors import UsageError
from gannet_training.config import TrainConfig
from gannet_training.run import Run
from gannet_training.trainer import load, train

Gannet = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, config: TrainConfig) -> Run:
    return train(config, tmp_path_factory.mktemp("warm") / "source")


@pytest.mark.parametrize("kind", ["run", "keras file"])
def test_it_begins_where_the_other_ended(
    tmp_path: Path, config: TrainConfig, source: Run, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    ended, origin = load(source), source.path
    if kind == "keras file":
        origin = tmp_path / "generator.keras"
        ended.ema_generator.save(origin)
    settings = {"init_from": str(origin), "learning_rate": 1e-12, "steps": 1, "seed": 9}
    with caplog.at_level("INFO", logger="gannet_training"):
        started = load(train(config.model_copy(update=settings), tmp_path / "started"))
    assert f"generator: 7 of 7 weights from {origin}" in caplog.text
    expected = ended.ema_generator if kind == "keras file" else ended.generator
    learned = [
        (old, new)
        for old, new in zip(expected.weights, started.generator.weights, strict=True)
        if "moving" not in new.path
    ]
    assert len(learned) == 5
    for old, new in learned:
        np.testing.assert_allclose(np.asarray(new), np.asarray(old), atol=1e-6)


def test_what_does_not_fit_starts_anew_and_is_listed(
    tmp_path: Path, config: TrainConfig, source: Run, caplog: pytest.LogCaptureFixture
) -> None:
    wider = config.model_copy(update={"latent_dim": 20, "init_from": str(source.path)})
    with caplog.at_level("INFO", logger="gannet_training"):
        train(wider, tmp_path / "wider")
    assert "generator: 6 of 7 weights" in caplog.text
    assert "starting anew: dcgan_generator" in caplog.text
    assert "discriminator: 4 of 4 weights" in caplog.text


def test_a_resumed_run_does_not_start_again(tmp_path: Path, config: TrainConfig, source: Run) -> None:
    again = config.model_copy(update={"init_from": str(source.path)})
    whole = load(train(again.model_copy(update={"steps": 40}), tmp_path / "whole"))
    train(again, tmp_path / "cut")
    resumed = load(train(again.model_copy(update={"steps": 40}), tmp_path / "cut"))
    for expected, received in zip(whole.generator.weights, resumed.generator.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(expected), np.asarray(received))


def test_nothing_to_start_from(tmp_path: Path, config: TrainConfig, source: Run) -> None:
    (tmp_path / "broken.keras").write_text("not a zip file")
    for origin, message in {
        tmp_path / "nowhere": "expected a run directory or a .keras file",
        tmp_path: "is not a run directory",
        tmp_path / "broken.keras": "cannot read a Keras model",
    }.items():
        with pytest.raises(UsageError, match=message):
            train(config.model_copy(update={"init_from": str(origin)}), tmp_path / "run")
    with pytest.raises(UsageError, match=r"no weight of .* has the place and shape"):
        settings = {"init_from": str(source.path), "model": "gan", "latent_dim": 7}
        train(config.model_copy(update=settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()
