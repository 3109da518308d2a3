"""Images from a generator in memory."""

from collections.abc import Sequence

import keras
import numpy as np

from gannet_export import noise, to_pixels

ROWS_AT_ONCE = 64
GRID_SEEDS = range(36)
"""The latents that a run draws every epoch."""
GRID_PADDING = 2


def sample(generator: keras.Model, seeds: Sequence[int], latent_dim: int) -> np.ndarray:
    """Draw one image per seed; the same seeds give the same images as the exported model does.

    Args:
        generator: a Keras model from noise [B, latent_dim] to images in [-1, 1].
        seeds: any int64; at least one.
        latent_dim: width Z of the noise.

    Returns:
        uint8 [len(seeds), H, W, C].
    """
    chunks = (seeds[start : start + ROWS_AT_ONCE] for start in range(0, len(seeds), ROWS_AT_ONCE))
    return np.concatenate(
        [to_pixels(generator(noise(chunk, latent_dim), training=False)).numpy() for chunk in chunks]
    )
