"""Golden samples: what the generator in memory draws, to compare an export with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_export.noise import noise
from gannet_export.source import Source

_noise = tf.function(noise, reduce_retracing=True)
"""The same bits, a hundred times as fast."""


@dataclass(frozen=True)
class Golden:
    """Inputs, row by row, and the images that belong to them.

    Attributes:
        given: by the name of the input, [N, ...]: noise, its seeds, and the conditions as callers send them.
        by_noise: float32 [N, H, W, C], for the signatures that take noise.
        by_seeds: likewise for those that take seeds; the same images, but for what a condition leaves open.
    """

    given: Mapping[str, np.ndarray]
    by_noise: np.ndarray
    by_seeds: np.ndarray

    def __len__(self) -> int:
        return len(self.by_noise)

    def save(self, file: Path) -> None:
        """Write it where another process can :meth:`load` it."""
        given: dict[str, Any] = {f"given.{name}": values for name, values in self.given.items()}
        np.savez(file, by_noise=self.by_noise, by_seeds=self.by_seeds, **given)

    @classmethod
    def load(cls, file: Path) -> "Golden":
        """Read what :meth:`save` wrote."""
        with np.load(file, allow_pickle=False) as arrays:
            given = {
                name.removeprefix("given."): arrays[name] for name in arrays if name.startswith("given.")
            }
            return cls(given, arrays["by_noise"], arrays["by_seeds"])


def golden_samples(source: Source, rows: int) -> Golden:
    """Draw samples of seeds from 0 on, over the whole range of every condition.

    Args:
        source: the generator.
        rows: how many, at least 1.
    """
    seeds = np.arange(rows, dtype=np.int64)
    with tf.device("CPU:0"):
        latents = _noise(tf.constant(seeds), source.latent_dim)
        examples = {condition.name: condition.examples(rows) for condition in source.conditions}
        pairs = [(condition, tf.constant(examples[condition.name])) for condition in source.conditions]
        by_noise = [condition.of_noise(values, latents) for condition, values in pairs]
        by_seeds = [condition.of_seeds(values, seeds) for condition, values in pairs]
    images = source.images(latents, *by_noise)
    seeded = source.images(latents, *by_seeds) if source.conditions else images
    given = {contract.NOISE: latents.numpy(), contract.SEEDS: seeds, contract.ROWS: seeds, **examples}
    return Golden(given, images, seeded)
