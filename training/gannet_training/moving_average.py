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
    for old, new in zip(average.variables, network.variables, strict=True):
        if half_life and "float" in str(old.dtype):
            share = ops.cast(1.0 - 0.5 ** (images / half_life), old.dtype)
            # In place, and without the exchange among replicas that an assignment brings: all hold the same.
            tf.raw_ops.ResourceApplyGradientDescent(
                var=old.value.handle, alpha=share, delta=ops.convert_to_tensor(old) - new
            )
        else:
            old.assign(new)
