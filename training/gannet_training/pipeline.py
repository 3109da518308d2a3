"""Training batches as a pure function of (seed, step).

Nothing here has a state that a checkpoint would have to keep: the batch of step n is the same whether the run
reached n in one go or was interrupted, and on however many replicas it is trained.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from gannet_training.data import ImageSource
from gannet_training.draws import Draw, stream_key

PARALLEL_BATCHES, READY_BATCHES = 4, 2
"""Batches that are made at the same time (the images of each are decoded on all cores), and that wait."""

Batch = dict[str, tf.Tensor]


def batches(
    source: ImageSource,
    *,
    batch_size: int,
    draws: Mapping[str, Draw],
    seed: int,
    labelled: bool = False,
    discriminator_steps: int = 1,
    first_step: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Stream the batches of a run for ever, from `first_step` on.

    Every epoch is a new permutation of the images; a batch may reach over the seam of two epochs, so that no
    image is left out.

    Args:
        source: of the images.
        batch_size: images per discriminator update, over all replicas.
        draws: the random numbers to add, by name: :attr:`AdversarialModel.draws`.
        seed: of the run.
        labelled: add the labels, for a conditional model; the source has some.
        discriminator_steps: batches of images per step.
        first_step: steps that were made already.
        part: (index, count): which of so many equal parts of every batch to give. Only its images are read;
            all parts one after the other are the batch, and each keeps its rows.

    Returns:
        A dataset of ``{"images": [B / count, discriminator_steps, H, W, C], ...}``, batch-major so that a
        strategy splits every tensor along the images; floats are of Keras' default type.

    Example:
        >>> from gannet_training.data import in_memory
        >>> draws = {"noise": Draw("latents", (1, 3))}
        >>> source = in_memory(np.zeros([10, 8, 8, 1], np.uint8))
        >>> data = batches(source, batch_size=4, draws=draws, seed=1)
        >>> {name: tuple(tensor.shape) for name, tensor in next(iter(data)).items()}
        {'images': (4, 1, 8, 8, 1), 'noise': (4, 1, 3)}
    """
    floatx = keras.config.floatx()
    index, count = part
    size = batch_size // count
    own = slice(index * size, (index + 1) * size)

    def batch(step: tf.Tensor) -> Batch:
        rows = _shuffled_rows(step, (batch_size, discriminator_steps), source.size, seed)[own]
        images = source.fetch(tf.reshape(rows, [-1]))
        shaped = tf.reshape(images, [size, discriminator_steps, *source.image_shape])
        # Drawn for the whole batch: a row's numbers depend on all before it.
        numbers = {name: draw.numbers(name, step, batch_size, seed)[own] for name, draw in draws.items()}
        floats = {name: tf.cast(value, floatx) for name, value in {"images": shaped, **numbers}.items()}
        return {**floats, "labels": tf.gather(source.labels, rows)} if labelled else floats

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    return untuned(steps.map(batch, num_parallel_calls=PARALLEL_BATCHES).prefetch(READY_BATCHES))


def untuned(data: tf.data.Dataset) -> tf.data.Dataset:
    """Give a data set's iterators no thread that tunes them.

    It sleeps for up to a minute at a time, and at the end of an iterator may miss the call to wake up:
    whoever lets go of the iterator, Python's garbage collector for one, then waits for it.

    Example:
        >>> untuned(tf.data.Dataset.range(2)).options().autotune.enabled
        False
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def _shuffled_rows(step: tf.Tensor, shape: tuple[int, int], size: int, seed: int) -> tf.Tensor:
    """int64 [B, discriminator_steps]: the places in the data set of one step's images."""
    size_of_batch, turns = (tf.constant(length, tf.int64) for length in shape)
    # Turn by turn, so that a step of several discriminator updates reads the epoch in order.
    within = tf.range(size_of_batch)[:, tf.newaxis] + size_of_batch * tf.range(turns)
    positions = step * size_of_batch * turns + tf.reshape(within, [-1])
    epochs, places = positions // size, positions % size
    key = tf.reshape(stream_key("images", tf.constant(0, tf.int64), seed), [1, 2])
    keys = tf.concat([tf.repeat(key, shape[0] * shape[1], axis=0), epochs[:, tf.newaxis]], axis=1)
    # The raw operation, because `tf.random.experimental.index_shuffle` takes one seed for a whole vector.
    rows = tf.raw_ops.RandomIndexShuffle(
        index=places, seed=keys, max_index=tf.constant(size - 1, tf.int64), rounds=4
    )
    return tf.reshape(rows, shape)
