"""A generator under the wire contract: the signatures that TensorFlow Serving answers."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from gannet_client import contract
from gannet_export.classes import classes_of_noise, classes_of_seeds
from gannet_export.noise import noise

Answer = Callable[..., tf.Tensor]


def to_pixels(images: tf.Tensor) -> tf.Tensor:
    """Turn images in [-1, 1] into pixels: ``clip(round((images + 1) * 127.5), 0, 255)``.

    Args:
        images: float [B, H, W, C].

    Returns:
        uint8 [B, H, W, C]; 0 for NaN.

    Example:
        >>> to_pixels(tf.constant([-1.0, 0.0, 1.0, 2.0, float("nan")])).numpy().tolist()
        [0, 128, 255, 255, 0]
    """
    levels = tf.clip_by_value(tf.round((images + 1.0) * 127.5), 0.0, 255.0)
    return tf.cast(tf.where(tf.math.is_nan(levels), tf.zeros_like(levels), levels), tf.uint8)


Given = tuple[tf.Tensor, ...]
"""Latents, and behind them the classes of a conditional model."""

Draw = Callable[..., tf.Tensor]
"""From latents, and classes if there are some, to float32 images."""


def drawing(generator: keras.Model, latent_dim: int, classes: int) -> Any:
    """Trace a generator as a concrete function of its inputs by name.

    Args:
        generator: see :class:`Servable`.
        latent_dim: width Z of the noise.
        classes: number K of classes of a conditional model; 0 is an unconditional one.
    """

    def draw(latents: tf.Tensor, *labels: tf.Tensor) -> tf.Tensor:
        return tf.cast(generator((latents, *labels) if labels else latents, training=False), tf.float32)

    specs = [tf.TensorSpec([None, latent_dim], tf.float32, name=contract.NOISE)]
    if classes:
        specs.append(tf.TensorSpec([None], tf.int64, name=contract.LABELS))
    # XLA is off in TensorFlow Serving: a compiled function would fail there at its first call.
    return tf.function(draw, jit_compile=False).get_concrete_function(*specs)


class Servable(tf.Module):
    """Answers every signature of :mod:`gannet_client.contract`.

    Args:
        draw: from float32 noise [B, Z], and labels int64 [B] if there are classes, to float32 images
            [B, H, W, C] in [-1, 1].
        weights: the variables that `draw` reads.
        latent_dim: width Z of the noise.
        card: the model card as JSON, answered by the `card` signature.
        classes: number K of classes of a conditional model; 0 is an unconditional one.
    """

    def __init__(
        self, draw: Draw, weights: Sequence[keras.Variable], latent_dim: int, card: str, classes: int = 0
    ) -> None:
        super().__init__()
        # The raw variables: the v1 loader of TensorFlow Serving restores no others of a Keras model.
        self._weights = [variable.value for variable in weights]
        self._draw = draw
        self._latent_dim = latent_dim
        self._card = card
        self._classes = classes

    def signatures(self) -> dict[str, Any]:
        """Trace one concrete function per signature, keyed by the signature's name."""
        by_noise = tf.TensorSpec([None, self._latent_dim], tf.float32, name=contract.NOISE)
        by_seeds = tf.TensorSpec([None], tf.int64, name=contract.SEEDS)
        by_rows = tf.TensorSpec([None], tf.int64, name=contract.ROWS)
        by_labels = tf.TensorSpec([None], tf.int64, name=contract.LABELS)
        conditions = [by_labels] if self._classes else []

        def from_noise(answer: Answer, output: str) -> Any:
            return _trace(lambda *given: answer(*self._of_noise(*given)), output, by_noise, *conditions)

        def from_seeds(answer: Answer, output: str) -> Any:
            return _trace(lambda *given: answer(*self._of_seeds(*given)), output, by_seeds, *conditions)

        return {
            contract.SERVING_DEFAULT: from_noise(self._images, contract.IMAGES),
            contract.PIXELS: from_noise(self._pixels, contract.PIXELS),
            contract.PNG: from_noise(self._png, contract.PNG),
            contract.LATENTS: _trace(self._latents, contract.NOISE, by_seeds),
            contract.SEEDED_PIXELS: from_seeds(self._pixels, contract.PIXELS),
            contract.SEEDED_PNG: from_seeds(self._png, contract.PNG),
            contract.CARD: _trace(self._card_rows, contract.CARD, by_rows),
        }

    def _of_noise(self, latents: tf.Tensor, *labels: tf.Tensor) -> Given:
        return latents, *(classes_of_noise(given, latents, self._classes) for given in labels)

    def _of_seeds(self, seeds: tf.Tensor, *labels: tf.Tensor) -> Given:
        return self._latents(seeds), *(classes_of_seeds(given, seeds, self._classes) for given in labels)

    def _images(self, latents: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        if labels is None:
            return self._draw(latents)
        known = (labels >= 0) & (labels < self._classes)
        # On an unknown class the generator would fail, and its neighbours in the batch with it.
        images = self._draw(latents, tf.where(known, labels, 0))
        return tf.where(known[:, tf.newaxis, tf.newaxis, tf.newaxis], images, float("nan"))

    def _pixels(self, *given: tf.Tensor) -> tf.Tensor:
        return to_pixels(self._images(*given))

    def _png(self, *given: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(self._pixels(*given))

    def _latents(self, seeds: tf.Tensor) -> tf.Tensor:
        return noise(seeds, self._latent_dim)

    def _card_rows(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.fill([tf.shape(rows)[0]], self._card)


def _trace(answer: Answer, output: str, *given: tf.TensorSpec) -> Any:
    # XLA is off in TensorFlow Serving: a compiled function would fail there at its first call.
    traced = tf.function(lambda *inputs: {output: answer(*inputs)}, jit_compile=False)
    return traced.get_concrete_function(*given)
