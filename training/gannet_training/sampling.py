"""Images from a generator in memory."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from gannet_client import contract, images
from gannet_export import classes_of_seeds, noise, to_pixels
from gannet_training.adversarial import AdversarialModel
from gannet_training.data import is_point

ROWS_AT_ONCE = 64
GRID_SEEDS = range(36)
"""The latents that a run draws every epoch."""
GRID_PADDING = 2
MAP_POINTS, MAP_SIDE = 1000, 256
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
    return to_pixels(sample_values(generator, seeds, latent_dim, classes=classes, labels=labels)).numpy()


def sample_values(
    generator: keras.Model,
    seeds: Sequence[int],
    latent_dim: int,
    *,
    classes: int = 0,
    labels: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw as :func:`sample` does, and leave the values what they are.

    Returns:
        float32 [len(seeds), H, W, C], in [-1, 1] unless they are points.
    """
    labels = [contract.ANY_CLASS] * len(seeds) if labels is None else labels

    def draw(rows: slice) -> np.ndarray:
        latents = _noise(tf.constant(seeds[rows], tf.int64), latent_dim)
        given = (latents, classes_of_seeds(labels[rows], seeds[rows], classes)) if classes else latents
        return tf.cast(generator(given, training=False), tf.float32).numpy()

    starts = range(0, len(seeds), ROWS_AT_ONCE)
    return np.concatenate([draw(slice(start, start + ROWS_AT_ONCE)) for start in starts])


def sample_grid(model: AdversarialModel) -> np.ndarray:
    """Draw the picture of a run's latents from the moving average.

    A grid of images, in which the classes take turns, row by row; or a map of points.

    Returns:
        uint8 [H, W, C].
    """
    if is_point(model.image_shape):
        drawn = sample_values(model.ema_generator, range(MAP_POINTS), model.latent_dim, classes=model.classes)
        return _map(drawn.reshape(-1, 2))
    labels = [seed % model.classes for seed in GRID_SEEDS] if model.classes else None
    drawn = sample(model.ema_generator, GRID_SEEDS, model.latent_dim, classes=model.classes, labels=labels)
    return images.grid(drawn, padding=GRID_PADDING)


def _map(points: np.ndarray) -> np.ndarray:
    """Points [N, 2] as dots, y upwards; the edges are the power of two that holds them, at least 2."""
    reach = 2.0 ** max(1, math.ceil(math.log2(np.abs(points).max())))
    places = np.clip((points / reach + 1) / 2 * MAP_SIDE, 0, MAP_SIDE - 1).astype(int)
    picture = np.full((MAP_SIDE, MAP_SIDE, 1), 255, np.uint8)
    picture[MAP_SIDE - 1 - places[:, 1], places[:, 0]] = 0
    return picture
