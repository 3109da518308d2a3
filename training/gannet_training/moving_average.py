"""The moving average of a network: a second one that follows it."""

from typing import TypeAlias

import keras
import tensorflow as tf
from keras import ops

from gannet_client.errors import UsageError

Inputs: TypeAlias = tf.Tensor | tuple[tf.Tensor, tf.Tensor]
"""Of a network: noise or images, with their labels if the model is conditional."""


def replicate(network: keras.Model, given: Inputs) -> keras.Model:
    """Build a second network of the same configuration and the same values, in the current scope.

    Args:
        network: a built, serialisable Keras model.
        given: inputs to build the copy with.

    Raises:
        UsageError: the network cannot be built again from its configuration.

    Returns:
        A copy that shares nothing with the original (`clone_model` would draw new weights).
    """
    try:
        copy = type(network).from_config(network.get_config())
        copy(given, training=False)
        copy.set_weights(network.get_weights())
    except (NotImplementedError, TypeError, ValueError, KeyError) as error:
        kind, reason = type(network).__name__, " ".join(str(error).split())
        raise UsageError(
            f"cannot build a second {kind} for its moving average ({reason:.200}); give {kind} a "
            "get_config that returns every argument of its __init__"
        ) from error
    return copy


def follow(average: keras.Model, network: keras.Model, images: tf.Tensor, half_life: float) -> None:
    """Move the average towards the network, BatchNorm statistics included; runs in every replica.

    Args:
        average: a copy, see :func:`replicate`.
        network: what it follows.
        images: how many the network has learnt from since the last call, over all replicas.
        half_life: images after which the weight of a value has halved; 0 follows at once.
    """
    images = tf.cast(images, keras.config.floatx())
    decay = 0.5 ** (images / half_life) if half_life else ops.zeros_like(images)
    for old, new in zip(average.variables, network.variables, strict=True):
        if "float" in str(old.dtype):
            old.assign(old + (1.0 - ops.cast(decay, old.dtype)) * (new - old))
        else:
            old.assign(new)
