"""The random numbers of a training step, drawn with the batch.

They come through the input pipeline and not from inside the step, because only there are they a pure function
of (seed, step) for the global batch: the same with one replica or several, with XLA or without, before and
after an interruption.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from gannet_export.noise import noise


@dataclass(frozen=True)
class Draw:
    """Random numbers that a step needs for each image.

    Attributes:
        kind: "latents" come from the one noise, each row from a seed; "normal" and "uniform" in [0, 1).
        shape: per image; for latents (rows, Z).
    """

    kind: Literal["latents", "normal", "uniform"]
    shape: tuple[int, ...]

    def numbers(self, name: str, step: tf.Tensor, batch_size: int, seed: int) -> tf.Tensor:
        """Draw for the global batch of a step.

        Args:
            name: streams of different names are independent.
            step: int64 scalar.
            batch_size: B, over all replicas.
            seed: of the run.

        Returns:
            float32 [B, *shape].

        Example:
            >>> Draw("latents", (2, 5)).numbers("noise", tf.constant(0, tf.int64), 3, seed=1).shape
            TensorShape([3, 2, 5])
        """
        key = stream_key(name, step, seed)
        if self.kind == "latents":
            rows, width = self.shape
            seeds = tf.random.stateless_uniform(
                [batch_size * rows], seed=key, minval=None, maxval=None, dtype=tf.int64, alg="philox"
            )
            return tf.reshape(noise(seeds, width), [batch_size, rows, width])
        if self.kind == "normal":
            return tf.random.stateless_normal([batch_size, *self.shape], seed=key, alg="philox")
        return tf.random.stateless_uniform([batch_size, *self.shape], seed=key, alg="philox")


def stream_key(name: str, step: tf.Tensor, seed: int) -> tf.Tensor:
    """Derive the key of a stream of random numbers at one step.

    Args:
        name: of the stream.
        step: int64 scalar.
        seed: of the run.

    Returns:
        int64 [2], a seed for `tf.random.stateless_*`.
    """
    return tf.random.fold_in(tf.constant([seed, zlib.crc32(name.encode())], tf.int64), step, alg="philox")
