"""What a run would cost, without running it."""

import math
from typing import Any

import keras
import tensorflow as tf

from gannet_training.config import TrainConfig
from gannet_training.trainer import build


def plan(config: TrainConfig) -> dict[str, Any]:
    """Describe a run before it starts.

    Args:
        config: what would be trained.

    Returns:
        The configuration, the parameters of both networks, the bytes of a checkpoint (weights, moving average
        and optimizers), and the bytes of memory to expect for these and for one step's activations,
        TensorFlow's own few hundred MB not counted. JSON values.

    Raises:
        UsageError: the configuration cannot be built.
    """
    model = build(config)
    optimizers = [*model.optimizer.variables, *model.discriminator_optimizer.variables]
    checkpoint = _bytes([*model.variables, *optimizers])
    rows = config.batch_size // config.micro_batches
    activations = _activations(model.generator, (model.latent_dim,), model.classes)
    # Of real images, of drawn ones, and of drawn ones again for the generator.
    activations += 3 * _activations(model.discriminator, model.image_shape, model.classes)
    return {
        "config": config.model_dump(),
        "generator_parameters": model.generator.count_params(),
        "discriminator_parameters": model.discriminator.count_params(),
        "checkpoint_bytes": checkpoint,
        "memory_bytes": 2 * checkpoint + rows * activations,
    }


def _bytes(variables: list[keras.Variable]) -> int:
    return sum(tf.as_dtype(variable.dtype).size * math.prod(variable.shape) for variable in variables)


def _activations(network: keras.Model, shape: tuple[int, ...], classes: int) -> int:
    """Bytes that the operations of a network give out for one row of inputs of the given shape."""
    values, labels = tf.TensorSpec((1, *shape), keras.config.floatx()), tf.TensorSpec((1,), tf.int64)
    given = (values, labels) if classes else values
    graph = tf.function(lambda inputs: network(inputs, training=True)).get_concrete_function(given).graph
    tensors = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
    rows = [t for t in tensors if t.shape.rank and t.shape.is_fully_defined() and t.shape[0] == 1]
    return sum(tensor.dtype.size * tensor.shape.num_elements() for tensor in rows)
