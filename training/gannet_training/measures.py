"""What a training step tells of itself."""

from collections.abc import Iterable

import keras
import tensorflow as tf
from keras import ops


class Measures(keras.layers.Layer):
    """Means since the start of the epoch, and a count of the values that were not finite.

    Both are sums over all replicas. Once a value is not finite, every later one is not either: the term that
    was the first has been so in the most steps.

    Args:
        names: of the values, in the order in which a step computes them.
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(name="measures", dtype="float32")
        self.means = {name: keras.metrics.Mean(name) for name in names}
        self.non_finite = {name: keras.metrics.Sum(f"non_finite_{name}") for name in self.means}
        self.built = True

    def record(self, **values: tf.Tensor) -> None:
        """Add one value per name; runs in every replica."""
        for name, value in values.items():
            self.means[name].update_state(value)
            self.non_finite[name].update_state(ops.cast(~ops.isfinite(value), "float32"))

    def results(self) -> dict[str, tf.Tensor]:
        """The means so far, by name."""
        return {name: mean.result() for name, mean in self.means.items()}

    def first_non_finite(self) -> str | None:
        """Name the value that was the first not to be finite in this epoch, if one was."""
        counts = {name: float(count.result()) for name, count in self.non_finite.items()}
        worst = max(counts, key=lambda name: counts[name])
        return worst if counts[worst] else None
