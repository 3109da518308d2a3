"""The one noise: the only place where a seed becomes a latent vector."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def noise(seeds: "tf.Tensor", latent_dim: int) -> "tf.Tensor":
    """Draw one latent vector per seed, each from its own seed alone.

    Row i is ``stateless_normal([latent_dim], seed=[seeds[i], 0], alg="philox")``: the same bits in eager
    mode, in an input pipeline, in an exported graph and in a server, whatever its neighbours are
    (Philox: Salmon et al., 2011, https://doi.org/10.1145/2063384.2063405). Never compile it with XLA, which
    draws other bits.

    Args:
        seeds: integers of shape [B], any value of int64; B may be zero.
        latent_dim: the width Z of the latent space.

    Returns:
        float32 of shape [B, Z], standard normal.

    Example:
        >>> import tensorflow as tf
        >>> noise([7, 8], latent_dim=3).shape
        TensorShape([2, 3])
        >>> bool(tf.reduce_all(noise([7, 8], 3)[1] == noise([8], 3)[0]))
        True
    """
    import tensorflow as tf

    def row(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_normal([latent_dim], seed=tf.stack([seed, 0]), alg="philox")

    return tf.map_fn(
        row, tf.cast(seeds, tf.int64), fn_output_signature=tf.TensorSpec([latent_dim], tf.float32)
    )
