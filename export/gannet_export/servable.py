"""A generator under the wire contract: the signatures that TensorFlow Serving answers."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from gannet_client import contract
from gannet_export.noise import noise


def to_pixels(images: tf.Tensor) -> tf.Tensor:
    """Turn images in [-1, 1] into pixels: ``clip(round((images + 1) * 127.5), 0, 255)``.

    Args:
        images: float [B, H, W, C].

    Returns:
        uint8 [B, H, W, C].

    Example:
        >>> to_pixels(tf.constant([-1.0, 0.0, 1.0, 2.0])).numpy().tolist()
        [0, 128, 255, 255]
    """
    return tf.cast(tf.clip_by_value(tf.round((images + 1.0) * 127.5), 0.0, 255.0), tf.uint8)


class Servable(tf.Module):
    """Holds a generator and answers every signature of :mod:`gannet_client.contract`.

    Args:
        generator: a built Keras model from float32 noise [B, Z] to images [B, H, W, C] in [-1, 1].
        latent_dim: width Z of the noise.
        card: the model card as JSON, answered by the `card` signature.
    """

    def __init__(self, generator: keras.Model, latent_dim: int, card: str) -> None:
        super().__init__()
        # The raw variables: the v1 loader of TensorFlow Serving restores no others of a Keras model.
        self._weights = [variable.value for variable in generator.variables]
        self._generator = generator
        self._latent_dim = latent_dim
        self._card = card

    def signatures(self) -> dict[str, Any]:
        """Trace one concrete function per signature, keyed by the signature's name."""
        by_noise = tf.TensorSpec([None, self._latent_dim], tf.float32, name=contract.NOISE)
        by_seeds = tf.TensorSpec([None], tf.int64, name=contract.SEEDS)
        by_rows = tf.TensorSpec([None], tf.int64, name=contract.ROWS)
        pixels, png, latents = self._pixels, self._png, self._latents
        return {
            contract.SERVING_DEFAULT: _trace(self._images, by_noise, contract.IMAGES),
            contract.PIXELS: _trace(pixels, by_noise, contract.PIXELS),
            contract.PNG: _trace(png, by_noise, contract.PNG),
            contract.LATENTS: _trace(latents, by_seeds, contract.NOISE),
            contract.SEEDED_PIXELS: _trace(lambda seeds: pixels(latents(seeds)), by_seeds, contract.PIXELS),
            contract.SEEDED_PNG: _trace(lambda seeds: png(latents(seeds)), by_seeds, contract.PNG),
            contract.CARD: _trace(self._card_rows, by_rows, contract.CARD),
        }

    def _images(self, latents: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._generator(latents, training=False), tf.float32)

    def _pixels(self, latents: tf.Tensor) -> tf.Tensor:
        return to_pixels(self._images(latents))

    def _png(self, latents: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(self._pixels(latents))

    def _latents(self, seeds: tf.Tensor) -> tf.Tensor:
        return noise(seeds, self._latent_dim)

    def _card_rows(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.fill([tf.shape(rows)[0]], self._card)


def _trace(answer: Callable[[tf.Tensor], tf.Tensor], given: tf.TensorSpec, output: str) -> Any:
    # XLA is off in TensorFlow Serving: a compiled function would fail there at its first call.
    traced = tf.function(lambda rows: {output: answer(rows)}, jit_compile=False)
    return traced.get_concrete_function(given)
