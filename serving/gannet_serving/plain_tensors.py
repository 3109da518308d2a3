"""The tensors that most requests carry, read in few steps."""

import math
from typing import Any

import numpy as np
from tensorflow.core.framework.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_INT32, DT_INT64

from gannet_client.codec import Array

_KINDS = {
    number: (np.dtype(stored), field)
    for number, stored, field in (
        (DT_FLOAT, "<f4", "float_val"),
        (DT_DOUBLE, "<f8", "double_val"),
        (DT_INT32, "<i4", "int_val"),
        (DT_INT64, "<i8", "int64_val"),
    )
}
"""The dtypes of which both the list and the bytes hold the array's own numbers."""
_MOST_DIMENSIONS = 8
_LONGEST_LIST = 4096
"""Elements; not every release of protobuf hands over a list without an object for each."""


def read_plain(proto: Any) -> Array | None:
    """The array of a TensorProto that has just as many numbers as its shape says.

    Args:
        proto: The official message.

    Returns:
        None for any other: whether it is right or wrong, it needs the codec.

    >>> from tensorflow.core.framework.tensor_pb2 import TensorProto
    >>> proto = TensorProto(dtype=DT_FLOAT, float_val=[1, 2])
    >>> read_plain(proto) is None
    True
    >>> proto.tensor_shape.dim.add().size = 2
    >>> read_plain(proto)
    array([1., 2.], dtype=float32)
    """
    kind = _KINDS.get(proto.dtype)
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if kind is None or not 0 < len(shape) <= _MOST_DIMENSIONS or min(shape) <= 0:
        return None
    (stored, field), count, content = kind, math.prod(shape), proto.tensor_content
    if content:
        fits = len(content) == count * stored.itemsize
        return np.frombuffer(content, stored).reshape(shape) if fits else None
    values = getattr(proto, field)
    fits = len(values) == count <= _LONGEST_LIST
    return np.asarray(values, stored).reshape(shape) if fits else None
