"""How many devices train a model does not show in the result."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gannet_training.adversarial import AdversarialModel
from gannet_training.config import TrainConfig
from gannet_training.data import in_memory, open_data
from gannet_training.draws import Draw
from gannet_training.pipeline import batches
from gannet_training.strategy import strategy
from gannet_training.trainer import build


def trained(config: TrainConfig, where: tf.distribute.Strategy, steps: int) -> AdversarialModel:
    with where.scope():
        model = build(config)
    data = batches(
        open_data(config.data, image_size=config.image_size),
        batch_size=config.batch_size,
        draws=model.draws,
        seed=config.seed,
        labelled=bool(model.classes),
        discriminator_steps=config.discriminator_steps,
    )
    model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)
    return model


def state(model: AdversarialModel) -> list[np.ndarray]:
    optimizers = [*model.optimizer.variables, *model.discriminator_optimizer.variables]
    return [np.asarray(variable) for variable in [*model.variables, *optimizers]]


def largest_difference(one: list[np.ndarray], two: list[np.ndarray]) -> float:
    return max(np.abs(left - right).max(initial=0.0) for left, right in zip(one, two, strict=True))


OPTIONS = {
    "wgan-gp": {"objective": "wasserstein", "discriminator_steps": 2, "gradient_penalty": 10.0},
    "wgan, augmented": {"objective": "hinge", "weight_clip": 0.01, "augment": "color,translation,cutout"},
    "r1 and classes": {
        "model": "cgan",
        "class_names": tuple("0123456789"),
        "r1": 1.0,
        "r1_interval": 4,
        "label_smoothing": 0.1,
    },
    "relativistic": {"objective": "relativistic", "instance_noise": 0.1},
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_two_replicas_and_one_device_agree_after_20_steps(
    config: TrainConfig,
    single: tf.distribute.Strategy,
    mirrored: tf.distribute.Strategy,
    options: dict[str, Any],
) -> None:
    config = config.model_copy(update={"label_smoothing": 0.0, **options})
    one, two = (state(trained(config, where, steps=20)) for where in (single, mirrored))
    assert sum(value.dtype == np.float64 for value in one) > 30
    assert largest_difference(one, two) < 1e-10


@pytest.fixture(scope="module")
def pair(config: TrainConfig, mirrored: tf.distribute.Strategy) -> tuple[AdversarialModel, AdversarialModel]:
    """After one step in float32 on one device, and on two replicas."""
    return trained(config, strategy("single"), steps=1), trained(config, mirrored, steps=1)


def test_the_comparison_notices_another_seed(
    config: TrainConfig, pair: tuple[AdversarialModel, AdversarialModel], single: tf.distribute.Strategy
) -> None:
    other = trained(config.model_copy(update={"seed": 1}), single, steps=1)
    assert largest_difference(state(other), state(pair[1])) > 1e-3


def test_in_float32_the_first_gradients_agree(pair: tuple[AdversarialModel, AdversarialModel]) -> None:
    """The first moment of Adam after one step is the gradient, times 1 - beta_1."""
    for optimizer in ("optimizer", "discriminator_optimizer"):
        moments = (
            [np.asarray(v) for v in getattr(model, optimizer).variables if "momentum" in v.path]
            for model in pair
        )
        for expected, received in zip(*moments, strict=True):
            norm = np.linalg.norm(expected)
            assert norm > 0
            assert np.linalg.norm(expected - received) < 1e-5 * norm


def test_losses_are_means_over_the_global_batch(pair: tuple[AdversarialModel, AdversarialModel]) -> None:
    one, two = pair
    for name in ("d_loss_real", "d_loss_fake", "d_loss", "g_loss", "d_real", "d_fake"):
        expected = float(one.measures.means[name].result())
        assert float(two.measures.means[name].result()) == pytest.approx(expected, rel=1e-5)


def test_every_replica_takes_its_own_rows_of_the_global_batch(mirrored: tf.distribute.Strategy) -> None:
    draws = {"noise": Draw("latents", (2, 4))}
    data = batches(
        in_memory(np.zeros([64, 8, 8, 1], np.uint8)),
        batch_size=16,
        draws=draws,
        seed=0,
        discriminator_steps=2,
    )
    element = next(iter(mirrored.experimental_distribute_dataset(data)))
    first, second = mirrored.experimental_local_results(element["noise"])
    assert first.shape == second.shape == (8, 2, 4)
    assert not np.intersect1d(first.numpy(), second.numpy()).size
    whole = next(iter(data))["noise"]
    np.testing.assert_array_equal(tf.concat([first, second], 0).numpy(), whole.numpy())
