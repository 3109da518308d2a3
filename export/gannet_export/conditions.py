"""What a generator takes beside noise: its conditions, and what a row gets that leaves one open."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import UsageError
from gannet_export import row_numbers


class Condition(Protocol):
    """One further input of every image signature.

    Attributes:
        name: of the input, see :mod:`gannet_client.contract`.
        spec: of the input, [B, ...].
        harmless: a legal value, to put where a row brings one that is not.
        variety: rows of examples that show the whole range.
    """

    name: str
    spec: tf.TensorSpec
    harmless: float
    variety: int

    def of_seeds(self, given: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Fill in, from its seed alone, what a row leaves open."""

    def of_noise(self, given: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Fill in, from its noise alone, what a row leaves open."""

    def legal(self, given: tf.Tensor) -> tf.Tensor:
        """Which rows are legal once everything is filled in: bool [B]."""

    def examples(self, rows: int) -> np.ndarray:
        """Make values that show the whole range of the condition, the open one first."""

    def card(self) -> dict[str, Any]:
        """What the model card says of it."""


class Classes:
    """A class for each row: `labels` int64 [B]; -1 leaves it open.

    Args:
        names: of the K classes; label k is the k-th.

    Raises:
        UsageError: a name is empty, cannot be printed, or comes twice.
    """

    name = contract.LABELS
    spec = tf.TensorSpec([None], tf.int64, name=contract.LABELS)
    harmless = 0.0

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        if len(set(self._names)) < len(self._names) or not all(map(_is_name, self._names)):
            raise UsageError(
                f"expected names of classes, each once and none empty, received {', '.join(map(repr, names))}"
            )
        self.variety = len(self._names) + 1

    def of_seeds(self, given: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """See :func:`classes_of_seeds`."""
        return classes_of_seeds(given, seeds, len(self._names))

    def of_noise(self, given: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """See :func:`classes_of_noise`."""
        return classes_of_noise(given, noise, len(self._names))

    def legal(self, given: tf.Tensor) -> tf.Tensor:
        """Those of a class that there is."""
        return (given >= 0) & (given < len(self._names))

    def examples(self, rows: int) -> np.ndarray:
        """-1, then every class in turn."""
        return np.arange(rows, dtype=np.int64) % (len(self._names) + 1) - 1

    def card(self) -> dict[str, Any]:
        """Their names."""
        return {"classes": self._names}


class Codes:
    """Continuous codes for each row (InfoGAN; Chen et al., 2016, arXiv:1606.03657): `codes` float32 [B, K].

    A NaN leaves a code open: it is drawn evenly over [-1, 1].

    Args:
        count: their number K.
    """

    name = contract.CODES
    harmless = 0.0

    def __init__(self, count: int) -> None:
        self.spec = tf.TensorSpec([None, count], tf.float32, name=contract.CODES)
        self._count = count
        self.variety = 8

    def of_seeds(self, given: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Draw what is open from the seed."""
        return self._filled(given, row_numbers.of_seeds(seeds))

    def of_noise(self, given: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Draw what is open from the noise."""
        return self._filled(given, row_numbers.of_noise(noise))

    def legal(self, given: tf.Tensor) -> tf.Tensor:
        """Those of finite codes."""
        return tf.reduce_all(tf.math.is_finite(given), axis=1)

    def examples(self, rows: int) -> np.ndarray:
        """A row that leaves all open, then steps from -1 to 1."""
        steps = np.resize(np.linspace(-1.0, 1.0, self.variety - 1, dtype=np.float32), (rows, self._count))
        steps[:1] = np.nan
        return steps

    def card(self) -> dict[str, Any]:
        """How many they are."""
        return {"codes": self._count}

    def _filled(self, given: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        def row(number: tf.Tensor) -> tf.Tensor:
            # Not the stream of the noise, whose second number is 0.
            seed = tf.stack([tf.bitcast(number, tf.int64), 1])
            return tf.random.stateless_uniform([self._count], seed, -1.0, 1.0, alg="philox")

        drawn = tf.map_fn(row, numbers, fn_output_signature=tf.TensorSpec([self._count], tf.float32))
        return tf.where(tf.math.is_nan(given), drawn, given)


class Truncation:
    """How far each row goes from the average latent: `truncation` float32 [B]; 1 is off.

    The truncation trick of StyleGAN (Karras et al., 2019, arXiv:1812.04948, appendix B), which is the
    generator's own business.
    """

    name = contract.TRUNCATION
    spec = tf.TensorSpec([None], tf.float32, name=contract.TRUNCATION)
    harmless = contract.NO_TRUNCATION
    variety = 4

    def of_seeds(self, given: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Nothing is open."""
        return given

    def of_noise(self, given: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Nothing is open."""
        return given

    def legal(self, given: tf.Tensor) -> tf.Tensor:
        """Those of a finite value."""
        return tf.math.is_finite(given)

    def examples(self, rows: int) -> np.ndarray:
        """Off, then less and less."""
        return np.resize(np.array([1.0, 0.7, 0.3, 0.0], np.float32), rows)

    def card(self) -> dict[str, Any]:
        """Nothing but its name."""
        return {}


def conditions_of(classes: Sequence[str], codes: int, truncation: bool) -> tuple[Condition, ...]:
    """The conditions of a generator, in the order in which it takes them.

    Args:
        classes: names of its classes, if it has some.
        codes: how many continuous codes it takes.
        truncation: whether it can be truncated.
    """
    conditions: list[Condition] = [Classes(classes)] if classes else []
    conditions += [Codes(codes)] if codes else []
    conditions += [Truncation()] if truncation else []
    return tuple(conditions)


def classes_of_seeds(labels: tf.Tensor, seeds: tf.Tensor, count: int) -> tf.Tensor:
    """Choose the class of each row: its label, or, where that is -1, one drawn from its seed alone.

    Args:
        labels: integers [B].
        seeds: integers [B], any value of int64; B may be zero.
        count: number K of classes.

    Returns:
        int64 [B]. Drawn classes are even over 0 to K - 1 and independent of the noise of the same seed.

    Example:
        >>> classes_of_seeds([-1, 2, -1, -1], [7, 7, 8, 9], count=10).numpy().tolist()
        [7, 2, 2, 8]
    """
    return _chosen(labels, row_numbers.of_seeds(seeds), count)


def classes_of_noise(labels: tf.Tensor, noise: tf.Tensor, count: int) -> tf.Tensor:
    """Choose the class of each row: its label, or, where that is -1, one drawn from its noise alone.

    Args:
        labels: integers [B].
        noise: float32 [B, Z]; the drawn class follows from all of its bits.
        count: number K of classes.

    Returns:
        int64 [B]. Drawn classes are even over 0 to K - 1.

    Example:
        >>> classes_of_noise([-1, 2], [[0.5, 1.5], [0.5, 1.5]], count=10).numpy().tolist()
        [6, 2]
    """
    return _chosen(labels, row_numbers.of_noise(noise), count)


def _is_name(name: str) -> bool:
    return bool(name.strip()) and name.isprintable()


def _chosen(labels: tf.Tensor, numbers: tf.Tensor, count: int) -> tf.Tensor:
    labels = tf.cast(labels, tf.int64)
    drawn = tf.cast(numbers % tf.constant(count, tf.uint64), tf.int64)
    return tf.where(labels == contract.ANY_CLASS, drawn, labels)
