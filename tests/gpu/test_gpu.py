"""Training on a GPU."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gannet_export import noise
from gannet_training import Run, TrainConfig, build, load, sample, train

pytestmark = pytest.mark.gpu


def config(**settings: object) -> TrainConfig:
    shape = {"image_size": 16, "channels": 1, "width": 16}
    return TrainConfig.parse({"model": "dcgan", "data": "digits", "steps": 60, **shape, **settings})


def weights(run: Run) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in load(run).variables]


def test_the_weights_are_on_the_gpu() -> None:
    assert "GPU" in build(config()).generator.weights[0].value.device


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_it_learns_in_every_precision(tmp_path: Path, precision: str) -> None:
    run = train(config(precision=precision), tmp_path / "run")
    assert all(np.isfinite(value).all() for value in weights(run))
    assert np.ptp(sample(load(run).ema_generator, range(4), 100)) > 0
    last = list(run.read_metrics())[-1]
    assert last["step"] == 60
    assert 0 < last["d_fake"] < last["d_real"] < 1


def test_a_run_continues_where_it_ended(tmp_path: Path) -> None:
    train(config(steps=30), tmp_path / "run")
    continued = train(config(), tmp_path / "run")
    whole = train(config(), tmp_path / "whole")
    for one, other in zip(weights(continued), weights(whole), strict=True):
        # Convolutions on a GPU add in any order.
        np.testing.assert_allclose(one, other, atol=0.05)


def test_the_noise_of_a_seed_is_that_of_the_cpu() -> None:
    seeds = [0, 1, -1, 2**63 - 1]
    with tf.device("CPU:0"):
        expected = noise(seeds, 100).numpy()
    with tf.device("GPU:0"):
        received = noise(seeds, 100).numpy()
    np.testing.assert_allclose(received, expected, atol=1e-6)


def test_the_images_of_a_seed_are_those_of_the_cpu(tmp_path: Path) -> None:
    generator = load(train(config(), tmp_path / "run")).ema_generator
    drawn = sample(generator, range(16), 100)
    with tf.device("CPU:0"):
        copy = type(generator).from_config(generator.get_config())
        copy(tf.zeros([1, 100]))
        copy.set_weights(generator.get_weights())
        expected = sample(copy, range(16), 100)
    assert np.abs(drawn.astype(int) - expected).max() <= 1
