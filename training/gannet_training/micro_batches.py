"""Gradients of a batch that is too large for the memory, part by part."""

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

Batch: TypeAlias = dict[str, tf.Tensor]
Gradients: TypeAlias = list[tf.Tensor]


def accumulate(gradients_of: Callable[[Batch], Gradients], batch: Batch, parts: int) -> Gradients:
    """Average the gradients of so many parts of a batch, one after the other.

    Args:
        gradients_of: from one part of the batch, the gradients of a mean over its rows.
        batch: per name a tensor [B, ...]; B is a multiple of `parts`.
        parts: how many.
    """
    cut = {name: tf.split(value, parts) for name, value in batch.items()}
    total: Gradients = []
    for place in range(parts):
        gradients = gradients_of({name: values[place] for name, values in cut.items()})
        total = [sum(pair) for pair in zip(total, gradients, strict=True)] if total else gradients
    return [gradient / parts for gradient in total]


def dense(gradients: Gradients) -> Gradients:
    """Write out the gradients of embeddings: TensorFlow gives some rows, which cannot be scaled or summed."""
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
