"""Two logical CPU devices stand in for two GPUs; they must be set before TensorFlow starts, at collection."""

from collections.abc import Iterator

import keras
import pytest

from gannet_training.config import TrainConfig
from gannet_training.startup import start_tensorflow
from gannet_training.strategy import strategy

start_tensorflow()

import tensorflow as tf  # noqa: E402

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    return TrainConfig(
        model="dcgan",
        data="digits",
        image_size=8,
        channels=1,
        steps=20,
        batch_size=16,
        latent_dim=16,
        width=8,
        # Without it the first gradient of the discriminator's last bias is a sum that cancels to nearly zero.
        label_smoothing=0.1,
        ema_half_life=100.0,
    )


@pytest.fixture
def single() -> tf.distribute.Strategy:
    return strategy("single")


@pytest.fixture(scope="session")
def mirrored() -> tf.distribute.Strategy:
    # One for all tests: the collective operations of two strategies in one process get in each other's way.
    return strategy("mirrored", 2)


@pytest.fixture
def float64() -> Iterator[None]:
    """Keras' default policy becomes float64: data, noise and weights."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
