"""What the presets' networks have in common."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class Network(keras.Model):
    """Blocks one after the other, and the arguments that they follow from.

    A subclass makes the blocks in `__init__` and hands over its arguments, which `get_config` returns.

    Args:
        blocks: layers.
        given: shape of one row of what the first block takes.
        config: arguments of the subclass.
    """

    def __init__(
        self,
        blocks: Sequence[keras.layers.Layer],
        given: tuple[int, ...],
        config: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.blocks = list(blocks)
        self._given = given
        self._config = config

    def build(self, input_shape: Any = None) -> None:
        """Build every block; the shapes follow from the arguments."""
        shape: tuple[int | None, ...] = (None, *self._given)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def call(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Run the blocks."""
        for block in self.blocks:
            switches = isinstance(block, keras.layers.BatchNormalization)
            values = block(values, training=training) if switches else block(values)
        return values

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that rebuild this network."""
        return {**super().get_config(), **self._config}
