"""The first GAN: fully connected networks (Goodfellow et al., 2014, arXiv:1406.2661)."""

import math
from typing import Any

import keras

from gannet_training.initializers import initializer as make_initializer
from gannet_training.models.network import Network

UNITS_PER_WIDTH = 4
"""A hidden layer of width 64 has 256 units."""


def _dense(units: int, initializer: str) -> keras.layers.Layer:
    return keras.layers.Dense(units, kernel_initializer=make_initializer(initializer))


@keras.saving.register_keras_serializable("gannet")
class MLPGenerator(Network):
    """Draws images, or points, from noise through two hidden layers of ReLU.

    Args:
        image_size: side of the square image in pixels.
        channels: 1 (grey) or 3 (RGB).
        latent_dim: width Z of the noise.
        width: a quarter of the units of a hidden layer.
        initializer: of every kernel, by name.
        activation: of the output, by Keras' name: "tanh" for images, "linear" for points.

    Input shape: [B, Z] of standard normal noise. Output shape: [B, H, W, C], in [-1, 1] with tanh.

    Example:
        >>> MLPGenerator(image_size=8, channels=1, latent_dim=5)(keras.ops.zeros([2, 5])).shape
        TensorShape([2, 8, 8, 1])
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        latent_dim: int = 100,
        width: int = 64,
        initializer: str = "normal",
        activation: str = "tanh",
        **kwargs: Any,
    ) -> None:
        shape = (image_size, image_size, channels)
        blocks = [
            _dense(UNITS_PER_WIDTH * width, initializer),
            keras.layers.ReLU(),
            _dense(UNITS_PER_WIDTH * width, initializer),
            keras.layers.ReLU(),
            _dense(math.prod(shape), initializer),
            keras.layers.Activation(activation, dtype=keras.config.floatx()),
            keras.layers.Reshape(shape),
        ]
        config = {
            "image_size": image_size,
            "channels": channels,
            "latent_dim": latent_dim,
            "width": width,
            "initializer": initializer,
            "activation": activation,
        }
        super().__init__(blocks, (latent_dim,), config, **kwargs)


@keras.saving.register_keras_serializable("gannet")
class MLPDiscriminator(Network):
    """Tells real images from drawn ones through two hidden layers of leaky ReLU 0.2.

    Args:
        image_size: side of the square image in pixels.
        channels: 1 (grey) or 3 (RGB).
        width: a quarter of the units of a hidden layer.
        initializer: of every kernel, by name.

    Input shape: [B, H, W, C] in [-1, 1]. Output shape: [B, 1], unbounded logits.

    Example:
        >>> MLPDiscriminator(image_size=8, channels=1)(keras.ops.zeros([2, 8, 8, 1])).shape
        TensorShape([2, 1])
    """

    def __init__(
        self, *, image_size: int, channels: int, width: int = 64, initializer: str = "normal", **kwargs: Any
    ) -> None:
        blocks = [
            keras.layers.Flatten(),
            _dense(UNITS_PER_WIDTH * width, initializer),
            keras.layers.LeakyReLU(0.2),
            _dense(UNITS_PER_WIDTH * width, initializer),
            keras.layers.LeakyReLU(0.2),
            _dense(1, initializer),
        ]
        config = {
            "image_size": image_size,
            "channels": channels,
            "width": width,
            "initializer": initializer,
        }
        super().__init__(blocks, (image_size, image_size, channels), config, **kwargs)
