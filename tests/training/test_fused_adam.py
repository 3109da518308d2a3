"""Adam in one operation is Keras' Adam."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gannet_training import FusedAdam


def trajectory(optimizer: keras.optimizers.Optimizer, dtype: str) -> list[np.ndarray]:
    """Weights and state after 20 updates by a gradient that depends on the weights."""
    start = np.random.default_rng(0).normal(size=(5, 4)).astype(dtype)
    weights = [keras.Variable(start, dtype=dtype), keras.Variable(start[0], dtype=dtype)]
    optimizer.build(weights)

    @tf.function
    def update() -> None:
        optimizer.apply_gradients([(tf.sin(3 * weight.value), weight) for weight in weights])

    for _ in range(20):
        update()
    return [np.asarray(value) for value in [*weights, *optimizer.variables]]


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"amsgrad": True}, {"clipnorm": 0.5}])
def test_its_trajectory_is_that_of_keras(options: dict[str, Any]) -> None:
    keras_adam = keras.optimizers.Adam(0.01, beta_1=0.5, **options)
    expected = trajectory(keras_adam, "float64")
    received = trajectory(FusedAdam(0.01, beta_1=0.5, **options), "float64")
    assert len(received) == len(expected) >= 8
    for ours, theirs in zip(received, expected, strict=True):
        # Keras takes 1 - 0.999 from a float32, which costs it five digits.
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-9)


def test_a_sparse_gradient_updates_its_rows() -> None:
    table = keras.Variable(np.zeros((3, 2), "float32"))
    gradient = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))
    FusedAdam(0.1).apply([gradient], [table])
    np.testing.assert_allclose(table.numpy(), [[0, 0], [-0.1, -0.1], [0, 0]], atol=1e-6)


def test_it_is_rebuilt_from_its_configuration() -> None:
    made = keras.optimizers.deserialize(keras.optimizers.serialize(FusedAdam(0.01, beta_1=0.5)))
    assert isinstance(made, FusedAdam)
    assert made.beta_1 == 0.5
