"""A random number for each row that follows from its seed or its noise alone.

Integers only, so that it is the same on every device, where noise may differ in its last bit.
"""

import tensorflow as tf

_GOLDEN = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio, the step of SplitMix64."""


def of_seeds(seeds: tf.Tensor) -> tf.Tensor:
    """Draw one number per seed, independent of the noise of the same seed.

    Args:
        seeds: integers [B], any value of int64; B may be zero.

    Returns:
        uint64 [B], even over all values.

    Example:
        >>> (of_seeds([7, 8]).numpy() % 10).tolist()
        [7, 2]
    """
    return _mixed(tf.bitcast(tf.cast(seeds, tf.int64), tf.uint64))


def of_noise(noise: tf.Tensor) -> tf.Tensor:
    """Draw one number per row of noise, from all of its bits.

    Args:
        noise: float32 [B, Z].

    Returns:
        uint64 [B], even over all values.
    """
    bits = tf.cast(tf.bitcast(tf.cast(noise, tf.float32), tf.uint32), tf.uint64)
    # Each number is mixed with its place first, else a sum would forget the order.
    places = tf.cast(tf.range(tf.shape(bits)[1]), tf.uint64) * _number(1 << 32)
    return _mixed(tf.reduce_sum(_mixed(bits + places), axis=1))


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
