"""Training batches as a pure function of (seed, step).

Nothing here has a state that a checkpoint would have to keep: the batch of step n is the same whether the run
reached n in one go or was interrupted, and on however many replicas it is trained.
"""

import keras
import numpy as np
import tensorflow as tf

from gannet_export.noise import noise

_SHUFFLE_STREAM, _NOISE_STREAM = 0, 1


def batches(
    images: np.ndarray, *, batch_size: int, latent_dim: int, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """Stream the batches of a run for ever, from `first_step` on.

    Every epoch is a new permutation of the images; a batch may reach over the seam of two epochs, so that no
    image is left out. Latents come from the one noise, each from a seed drawn for (seed, step).

    Args:
        images: float32 [N, H, W, C] in [-1, 1].
        batch_size: images per step, over all replicas.
        latent_dim: width Z of the noise.
        seed: of the run.
        first_step: steps that were made already.

    Returns:
        A dataset of ``{"images": [B, H, W, C], "noise": [B, Z]}`` in Keras' default float type.

    Example:
        >>> data = batches(np.zeros([10, 8, 8, 1], np.float32), batch_size=4, latent_dim=3, seed=1)
        >>> {name: tuple(tensor.shape) for name, tensor in next(iter(data)).items()}
        {'images': (4, 8, 8, 1), 'noise': (4, 3)}
    """
    dtype = keras.config.floatx()
    pool = tf.constant(images)

    def batch(step: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = _shuffled_rows(step, batch_size, len(images), seed)
        latents = noise(_noise_seeds(step, batch_size, seed), latent_dim)
        return {"images": tf.cast(tf.gather(pool, rows), dtype), "noise": tf.cast(latents, dtype)}

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _shuffled_rows(step: tf.Tensor, batch_size: int, size: int, seed: int) -> tf.Tensor:
    positions = step * batch_size + tf.range(batch_size, dtype=tf.int64)
    epochs, places = positions // size, positions % size
    streams = [tf.fill([batch_size], tf.constant(word, tf.int64)) for word in (seed, _SHUFFLE_STREAM)]
    # The raw operation, because `tf.random.experimental.index_shuffle` takes one seed for a whole vector.
    return tf.raw_ops.RandomIndexShuffle(
        index=places,
        seed=tf.stack([*streams, epochs], axis=1),
        max_index=tf.constant(size - 1, tf.int64),
        rounds=4,
    )


def _noise_seeds(step: tf.Tensor, batch_size: int, seed: int) -> tf.Tensor:
    stream = tf.constant([seed, _NOISE_STREAM], tf.int64)
    return tf.random.stateless_uniform(
        [batch_size],
        seed=tf.random.fold_in(stream, step, alg="philox"),
        minval=None,
        maxval=None,
        dtype=tf.int64,
        alg="philox",
    )
