"""The class of a row that leaves it open: the only place where a seed or a noise becomes a class.

Integers only, so that the class is the same on every device, where noise may differ in its last bit.
"""

import tensorflow as tf

from gannet_client import contract

_GOLDEN = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio, the step of SplitMix64."""


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
    return _chosen(labels, _mixed(tf.bitcast(tf.cast(seeds, tf.int64), tf.uint64)), count)


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
    bits = tf.cast(tf.bitcast(tf.cast(noise, tf.float32), tf.uint32), tf.uint64)
    # Each number is mixed with its place first, else a sum would forget the order.
    places = tf.cast(tf.range(tf.shape(bits)[1]), tf.uint64) * _number(1 << 32)
    return _chosen(labels, _mixed(tf.reduce_sum(_mixed(bits + places), axis=1)), count)


def _chosen(labels: tf.Tensor, random: tf.Tensor, count: int) -> tf.Tensor:
    labels = tf.cast(labels, tf.int64)
    return tf.where(labels == contract.ANY_CLASS, tf.cast(random % _number(count), tf.int64), labels)


def _mixed(values: tf.Tensor) -> tf.Tensor:
    """SplitMix64 (Steele et al., 2014, https://doi.org/10.1145/2660193.2660195): every bit decides all."""
    values += _number(_GOLDEN)
    values = (values ^ _shifted(values, 30)) * _number(0xBF58476D1CE4E5B9)
    values = (values ^ _shifted(values, 27)) * _number(0x94D049BB133111EB)
    return values ^ _shifted(values, 31)


def _shifted(values: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(values, _number(bits))


def _number(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
