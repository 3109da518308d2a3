"""Several arrays as one along dimension 0, and back."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from gannet_client.codec import Array
from gannet_serving.status import failed_precondition, invalid

Shape = tuple[int | None, ...]
"""That of a graph's tensor: None where any size will do."""


def count_rows(arrays: Sequence[Array]) -> int:
    """The size of dimension 0, which all have in common.

    Raises:
        StatusError: It is not the same, one has no dimensions, or there are no arrays.
    """
    if not arrays:
        raise invalid("Batching Run() must have at least one input tensor")
    for array in arrays:
        if not array.ndim:
            raise invalid("Batching Run() input tensors must have at least one dimension")
        if len(array) != len(arrays[0]):
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return len(arrays[0])


def merge(parts: Sequence[Array], size: int) -> Array:
    """The rows of all parts, and then the first row of the last as often as it takes to have `size` rows.

    Args:
        parts: Arrays [n, ...] of one dtype and rank. Where their sizes differ, the smaller ones are filled up
            with their first element.
        size: Not less than the rows of all parts together.

    >>> merge([np.array([[1], [2]]), np.array([[3, 4]])], 4).tolist()
    [[1, 1], [2, 1], [3, 4], [3, 4]]
    """
    inner = tuple(map(max, *(part.shape[1:] for part in parts))) if len(parts) > 1 else parts[0].shape[1:]
    filled = [part if part.shape[1:] == inner else _fill(part, inner) for part in parts]
    missing = size - sum(map(len, parts))
    if missing:
        filled.append(np.broadcast_to(filled[-1][:1], (missing, *inner)))
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


def split(array: Array, sizes: Sequence[int], size: int) -> list[Array]:
    """The rows of a merged array: for each of `sizes` so many, in order; rows beyond those are padding.

    Args:
        array: What a model made of merged arrays.
        sizes: How many rows belong to whom.
        size: How many rows the merged arrays had.

    Raises:
        StatusError: The model did not keep to its rows.

    >>> [part.tolist() for part in split(np.array([1, 2, 3, 3]), [2, 1], 4)]
    [[1, 2], [3]]
    """
    if not array.ndim:
        raise failed_precondition("Batched output tensor has 0 dimensions")
    if len(array) != size:
        raise failed_precondition(
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
            "input tensors"
        )
    ends = list(accumulate(sizes))
    return [array[end - count : end] for count, end in zip(sizes, ends, strict=True)]


def merging_key(array: Array, shape: Shape | None, *, filling: bool) -> object:
    """A value that is the same for arrays that can be merged without harm to each other.

    Args:
        array: Of the graph's dtype.
        shape: That of the graph's tensor; None if it is not known.
        filling: Whether arrays are filled up where the graph takes any size.
    """
    if not filling or not array.size or shape is None or len(shape) != array.ndim:
        return array.shape[1:]
    return tuple(
        actual if known is not None else None
        for actual, known in zip(array.shape[1:], shape[1:], strict=True)
    )


def _fill(part: Array, inner: tuple[int, ...]) -> Array:
    filled = np.full((len(part), *inner), part.flat[0], part.dtype)
    filled[tuple(map(slice, part.shape))] = part
    return filled
