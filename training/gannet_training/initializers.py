"""Weight initialisations by name."""

import random
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from gannet_training.choices import choose

INCOMING = 15
"""Connections that a unit starts with under the sparse initialisation, as in its paper."""


@keras.saving.register_keras_serializable("gannet")
class Sparse(keras.initializers.Initializer):
    """Give each unit a few incoming connections from N(0, stddev), and none else (Martens, 2010, section 5).

    Source: Deep learning via Hessian-free optimization, ICML 2010. For a convolution a unit is an output
    channel, its inputs all places of the kernel.

    Args:
        incoming: connections per unit; fewer where a unit has fewer inputs.
        stddev: of the connections that there are.
        seed: an int; the same seed and shape give the same weights.

    Example:
        >>> weights = Sparse(incoming=3, seed=1)((10, 4))
        >>> tf.math.count_nonzero(weights, axis=0).numpy().tolist()
        [3, 3, 3, 3]
    """

    def __init__(self, incoming: int = INCOMING, stddev: float = 1.0, seed: int | None = None) -> None:
        self.incoming = incoming
        self.stddev = stddev
        self.seed = random.randint(1, 2**31 - 2) if seed is None else seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = None, **options: Any) -> tf.Tensor:
        """Draw weights of a shape whose last dimension counts the units."""
        units = shape[-1]
        inputs = 1
        for side in shape[:-1]:
            inputs *= side
        values = keras.random.normal((inputs, units), stddev=self.stddev, dtype="float32", seed=self.seed)
        order = keras.random.uniform((inputs, units), dtype="float32", seed=self.seed + 1)
        rank = ops.argsort(ops.argsort(order, axis=0), axis=0)
        kept = ops.where(rank < min(self.incoming, inputs), values, 0.0)
        return ops.cast(ops.reshape(kept, shape), dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that rebuild this initializer."""
        return {"incoming": self.incoming, "stddev": self.stddev, "seed": self.seed}


INITIALIZERS: dict[str, Callable[[], keras.initializers.Initializer]] = {
    "normal": lambda: keras.initializers.RandomNormal(stddev=0.02),
    "glorot_normal": keras.initializers.GlorotNormal,
    "glorot_uniform": keras.initializers.GlorotUniform,
    "he_normal": keras.initializers.HeNormal,
    "he_uniform": keras.initializers.HeUniform,
    "orthogonal": keras.initializers.Orthogonal,
    "sparse": Sparse,
}
INITIALIZERS["xavier"] = INITIALIZERS["glorot_uniform"]


def initializer(name: str) -> keras.initializers.Initializer:
    """Make an initializer of its own for one layer: layers of one shape must not start equal.

    `normal` is N(0, 0.02) as in the DCGAN paper; `xavier` is another name of `glorot_uniform`.

    Raises:
        UsageError: there is none of that name.

    Example:
        >>> initializer("he_normal")((3, 2)).shape
        TensorShape([3, 2])
    """
    return choose("initializer", name, INITIALIZERS)()
