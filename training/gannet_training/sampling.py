"""Images from a generator in memory."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_export import classes_of_seeds, noise, to_pixels
from gannet_training.adversarial import AdversarialModel

ROWS_AT_ONCE = 64
GRID_SEEDS = range(36)
"""The latents that a run draws every epoch."""
GRID_PADDING = 2
_noise = tf.function(noise, reduce_retracing=True)
"""The same bits, a hundred times as fast."""


def sample(
    generator: keras.Model,
    seeds: Sequence[int],
    latent_dim: int,
    *,
    classes: int = 0,
    labels: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw one image per seed; the same seeds give the same images as the exported model does.

    Args:
        generator: a Keras model from noise [B, latent_dim] to images in [-1, 1]; from the pair (noise, labels
            int64 [B]) if it has classes.
        seeds: any int64; at least one.
        latent_dim: width Z of the noise.
        classes: number K of classes of a conditional model.
        labels: the class of each image, from 0 to K - 1, or -1: drawn from its seed, as all are by default.

    Returns:
        uint8 [len(seeds), H, W, C].
    """
    labels = [contract.ANY_CLASS] * len(seeds) if labels is None else labels

    def draw(rows: slice) -> np.ndarray:
        latents = _noise(tf.constant(seeds[rows], tf.int64), latent_dim)
        given = (latents, classes_of_seeds(labels[rows], seeds[rows], classes)) if classes else latents
        return to_pixels(generator(given, training=False)).numpy()

    starts = range(0, len(seeds), ROWS_AT_ONCE)
    return np.concatenate([draw(slice(start, start + ROWS_AT_ONCE)) for start in starts])


def sample_grid(model: AdversarialModel) -> np.ndarray:
    """Draw the images of a run's grids from the moving average; the classes take turns, row by row.

    Returns:
        uint8 [len(GRID_SEEDS), H, W, C].
    """
    labels = [seed % model.classes for seed in GRID_SEEDS] if model.classes else None
    return sample(model.ema_generator, GRID_SEEDS, model.latent_dim, classes=model.classes, labels=labels)
