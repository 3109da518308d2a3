"""Small generators of many kinds, with weights that make every layer do something, as if trained."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LATENT_DIM = 6
layers = keras.layers
UP = {"strides": 2, "padding": "same"}


def as_if_trained(made: keras.Model) -> keras.Model:
    random = np.random.default_rng(1)
    for weight in made.weights:
        low, high = (0.5, 2.0) if "variance" in weight.path or "gamma" in weight.path else (-0.3, 0.3)
        if "seed" not in weight.path:
            weight.assign(random.uniform(low, high, weight.shape))
    return made


def network(*blocks: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    return as_if_trained(keras.Sequential([keras.Input([LATENT_DIM]), *blocks]))


def image_network(*blocks: keras.layers.Layer, channels: int = 8) -> keras.Model:
    """From an image of 4x4 to the last convolution."""
    stem = layers.Dense(16 * channels, use_bias=False), layers.Reshape((4, 4, channels))
    return network(*stem, *blocks, layers.Conv2D(3, 3, padding="same", activation="tanh"))


class Applied(keras.layers.Layer):
    """A function of TensorFlow as a layer."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def call(self, values: Any) -> Any:
        return self._function(values)


class Halves(keras.layers.Layer):
    """Its own layer for each half of the channels: the second takes an output that is not a node's first."""

    def __init__(self, *branches: keras.layers.Layer) -> None:
        super().__init__()
        self._branches = list(branches)

    def build(self, shape: tuple[int, ...]) -> None:
        for branch in self._branches:
            branch.build((*shape[:-1], shape[-1] // 2))

    def call(self, values: Any) -> Any:
        halves = tf.split(values, 2, axis=-1)
        return tf.concat([branch(x) for branch, x in zip(self._branches, halves, strict=True)], -1)


class FusedNormalization(keras.layers.Layer):
    """BatchNormalization as TensorFlow 1 writes it."""

    def build(self, shape: tuple[int, ...]) -> None:
        names = ("gamma", "beta", "mean", "variance")
        self._values = [self.add_weight(shape=(shape[-1],), name=name) for name in names]

    def call(self, values: Any) -> Any:
        return tf.compat.v1.nn.fused_batch_norm(values, *self._values, is_training=False)[0]


class Equalized(keras.layers.Layer):
    """A convolution whose kernel is scaled whenever it is used, as in progressive growing."""

    def build(self, shape: tuple[int, ...]) -> None:
        self._kernel = self.add_weight(shape=(3, 3, shape[-1], shape[-1]))

    def call(self, values: Any) -> Any:
        return tf.nn.conv2d(values, self._kernel * 0.1, 1, "SAME")


class Dynamic(keras.layers.Layer):
    """A transposed convolution whose kernel is computed from the image."""

    def call(self, values: Any) -> Any:
        kernel = tf.reshape(tf.tile(tf.reduce_mean(values[:1], [1, 2]) * 0 + 0.1, [1, 9 * 4]), [3, 3, 4, -1])
        size = [tf.shape(values)[0], 2 * values.shape[1], 2 * values.shape[2], 4]
        return tf.nn.conv2d_transpose(values, kernel, size, 2, "SAME")


def residual() -> keras.Model:
    noise = keras.Input([LATENT_DIM])
    image = layers.Reshape((4, 4, 8))(layers.Dense(128)(noise))
    for _ in range(2):
        normalized = layers.ReLU()(layers.BatchNormalization()(image))
        image = layers.Add()([image, layers.BatchNormalization()(layers.Conv2D(8, 1)(normalized))])
    return as_if_trained(keras.Model(noise, layers.Conv2D(3, 3, activation="tanh")(image)))


def of_labels() -> keras.Model:
    noise, labels = keras.Input([LATENT_DIM]), keras.Input([], dtype="int64")
    known = layers.Concatenate()([noise, layers.Embedding(3, 4)(labels)])
    shown = layers.Reshape((4, 4, 1))(layers.RepeatVector(16)(keras.ops.expand_dims(labels, -1)))
    drawn = layers.Conv2D(4, 3, padding="same")(keras.ops.cast(shown, "float32"))
    image = layers.BatchNormalization()(
        layers.Concatenate()([layers.Reshape((4, 4, 8))(layers.Dense(128)(known)), drawn])
    )
    image = layers.Conv2DTranspose(3, (3, 5), **UP, activation="tanh")(image)
    return as_if_trained(keras.Model((noise, labels), image))


def in_policy(name: str, make: Callable[[], keras.Model]) -> keras.Model:
    keras.config.set_dtype_policy(name)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy("float32")


def channels_first() -> keras.Model:
    first: dict[str, Any] = {"data_format": "channels_first"}
    return network(
        *(layers.Dense(64), layers.Reshape((4, 4, 4)), layers.Conv2D(4, 3, padding="same", **first)),
        *(layers.BatchNormalization(axis=1), layers.ReLU(), layers.Conv2DTranspose(4, 5, **UP, **first)),
        *(layers.BatchNormalization(), layers.Conv2DTranspose(3, 5, **UP, **first)),
        *(layers.Activation("tanh"), layers.Permute((2, 3, 1))),
    )
