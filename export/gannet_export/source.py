"""A generator as the export sees it, wherever it was trained."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import ModelError
from gannet_export.conditions import Condition

ROWS_AT_ONCE = 32
CHANNELS = (1, 3, 4)
"""Of pictures: grey, colours, colours with an alpha channel."""


@dataclass(frozen=True)
class Source:
    """A generator in memory.

    Attributes:
        call: from latents [B, Z], and one tensor per condition, to images [B, H, W, C] in [-1, 1].
        variables: what it reads.
        weights: what it has learnt, among the variables.
        latent_dim: width Z of the noise.
        conditions: in the order of the arguments.
    """

    call: Callable[..., Any]
    variables: Sequence[tf.Variable]
    weights: Sequence[tf.Variable]
    latent_dim: int
    conditions: tuple[Condition, ...] = ()

    @classmethod
    def of_keras(
        cls, generator: keras.Model, latent_dim: int, conditions: tuple[Condition, ...] = ()
    ) -> "Source":
        """Take a Keras model of noise, or of a tuple of noise and its conditions.

        Raises:
            ModelError: the model fails, or computes in half precision.
        """

        def call(*given: tf.Tensor) -> tf.Tensor:
            return generator(given if conditions else given[0], training=False)

        with _failing():
            call(*_one_row(latent_dim, conditions))  # a model that was never called has no variables yet
        _require_float32(generator)
        # The raw variables: the v1 loader of TensorFlow Serving restores no others of a Keras model.
        variables = [variable.value for variable in generator.variables]
        weights = [variable.value for variable in generator.weights]
        return cls(call, variables, weights, latent_dim, conditions)

    @cached_property
    def image_shape(self) -> list[int]:
        """Height, width and channels of an image.

        Raises:
            ModelError: what comes out are no images.
        """
        with _failing():
            images = self.call(*_one_row(self.latent_dim, self.conditions))
        shape = list(getattr(images, "shape", []))
        if len(shape) != 4 or shape[0] != 1 or shape[3] not in CHANNELS or 0 in shape:
            received = shape or type(images).__name__
            raise ModelError(
                "expected a generator of images [B, height, width, channels] of "
                f"1, 3 or 4 channels, received {received} for one row"
            )
        return shape[1:]

    @cached_property
    def function(self) -> Any:
        """The generator as a concrete function of its inputs by name, to float32 images.

        Raises:
            ModelError: it cannot be traced.
        """

        def draw(*given: tf.Tensor) -> tf.Tensor:
            images = tf.cast(self.call(*given), tf.float32)
            return tf.ensure_shape(images, [None, *self.image_shape])

        specs = [tf.TensorSpec([None, self.latent_dim], tf.float32, name=contract.NOISE)]
        specs += [condition.spec for condition in self.conditions]
        with _failing():
            # XLA is off in TensorFlow Serving: a compiled function would fail there at its first call.
            return tf.function(draw, jit_compile=False).get_concrete_function(*specs)

    def images(self, *given: tf.Tensor) -> np.ndarray:
        """Draw images: float32 [N, H, W, C], a few rows at a time and on the CPU, where exports are tried.

        Raises:
            ModelError: the generator fails.
        """
        starts = range(0, len(given[0]), ROWS_AT_ONCE)
        with tf.device("CPU:0"), _failing():
            drawn = [
                tf.cast(self.call(*(values[start : start + ROWS_AT_ONCE] for values in given)), tf.float32)
                for start in starts
            ]
        return np.concatenate(drawn)

    @cached_property
    def weights_sha256(self) -> str:
        """Of the values alone: names and file layouts differ between processes, the values do not."""
        digest = hashlib.sha256()
        for variable in self.weights:
            weight = variable.numpy()
            digest.update(f"{weight.dtype} {weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()


def layers_of(network: keras.Model) -> list[keras.layers.Layer]:
    """A Keras model and all layers below it."""
    return list(network._flatten_layers())


def _one_row(latent_dim: int, conditions: Sequence[Condition]) -> list[tf.Tensor]:
    harmless = (tf.fill([1, *condition.spec.shape[1:]], condition.harmless) for condition in conditions)
    filled = [
        tf.cast(value, condition.spec.dtype) for value, condition in zip(harmless, conditions, strict=True)
    ]
    return [tf.zeros([1, latent_dim]), *filled]


@contextmanager
def _failing() -> Iterator[None]:
    """Say in one line that a generator fails, whatever it raises: it is the user's own code."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        raise ModelError(
            "expected a generator that draws from the noise and the conditions that were named; it fails, "
            f"{type(error).__name__}: {told[0]:.300}"
        ) from error


def _require_float32(generator: keras.Model) -> None:
    layers = layers_of(generator)
    halved = {layer.dtype_policy.name for layer in layers if layer.compute_dtype in ("float16", "bfloat16")}
    if halved:
        raise ModelError(
            f"expected a generator that computes in float32, received one of {', '.join(sorted(halved))}, "
            "whose images are rounded; build it again under float32 with the same weights"
        )
