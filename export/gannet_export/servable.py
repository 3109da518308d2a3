"""A generator under the wire contract: the signatures that TensorFlow Serving answers."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from gannet_client import contract
from gannet_export.conditions import Condition
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


Draw = Callable[..., tf.Tensor]
"""From latents and conditions to float32 images."""


class Servable(tf.Module):
    """Answers every signature of :mod:`gannet_client.contract`.

    Args:
        draw: from float32 noise [B, Z], and conditions [B, ...], to float32 images [B, H, W, C] in [-1, 1].
        weights: the variables that `draw` reads.
        latent_dim: width Z of the noise.
        card: the model card as JSON, answered by the `card` signature.
        conditions: what `draw` takes beside noise.
    """

    def __init__(
        self,
        draw: Draw,
        weights: Sequence[tf.Variable],
        latent_dim: int,
        card: str,
        conditions: Sequence[Condition] = (),
    ) -> None:
        super().__init__()
        self._weights = list(weights)
        self._draw = draw
        self._latent_dim = latent_dim
        self._card = card
        self._conditions = list(conditions)

    def signatures(self) -> dict[str, Any]:
        """Trace one concrete function per signature, keyed by the signature's name."""
        by_noise = tf.TensorSpec([None, self._latent_dim], tf.float32, name=contract.NOISE)
        by_seeds = tf.TensorSpec([None], tf.int64, name=contract.SEEDS)
        by_rows = tf.TensorSpec([None], tf.int64, name=contract.ROWS)
        conditions = [condition.spec for condition in self._conditions]

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

    def _of_noise(self, latents: tf.Tensor, *given: tf.Tensor) -> list[tf.Tensor]:
        pairs = zip(self._conditions, given, strict=True)
        return [latents, *(condition.of_noise(values, latents) for condition, values in pairs)]

    def _of_seeds(self, seeds: tf.Tensor, *given: tf.Tensor) -> list[tf.Tensor]:
        pairs = zip(self._conditions, given, strict=True)
        return [self._latents(seeds), *(condition.of_seeds(values, seeds) for condition, values in pairs)]

    def _images(self, latents: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
        legal, safe = tf.constant(True), []
        # On what it does not know the generator might fail, and its neighbours in the batch with it.
        for condition, values in zip(self._conditions, given, strict=True):
            good = condition.legal(values)
            safe.append(tf.where(_beside(good, values), values, tf.cast(condition.harmless, values.dtype)))
            legal &= good
        rows = tf.shape(latents)[0]
        images = self._draw(*(_not_empty(values) for values in (latents, *safe)))[:rows]
        return tf.where(_beside(legal, images), images, float("nan")) if safe else images

    def _pixels(self, *given: tf.Tensor) -> tf.Tensor:
        return to_pixels(self._images(*given))

    def _png(self, *given: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(self._pixels(*given))

    def _latents(self, seeds: tf.Tensor) -> tf.Tensor:
        return noise(seeds, self._latent_dim)

    def _card_rows(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.fill([tf.shape(rows)[0]], self._card)


def _not_empty(values: tf.Tensor) -> tf.Tensor:
    """Add a row if there is none: oneDNN's fused convolutions give no rows a wrong number of channels."""
    missing = tf.cast(tf.equal(tf.shape(values)[0], 0), tf.int32)
    return tf.pad(values, [[0, missing], *([[0, 0]] * (values.shape.rank - 1))])


def _beside(rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Values [B] in a shape that goes with [B, ...]."""
    return tf.reshape(rows, [-1, *[1] * (values.shape.rank - 1)])


def _trace(answer: Answer, output: str, *given: tf.TensorSpec) -> Any:
    # XLA is off in TensorFlow Serving: a compiled function would fail there at its first call.
    traced = tf.function(lambda *inputs: {output: answer(*inputs)}, jit_compile=False)
    return traced.get_concrete_function(*given)
