"""Between TensorProto and the arrays that a session takes and gives."""

from typing import Any

import ml_dtypes
import numpy as np
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.types_pb2 import DT_BFLOAT16, DT_COMPLEX64, DT_COMPLEX128, DT_DOUBLE, DT_FLOAT

from gannet_client.codec import Array, decode, encode, encode_values
from gannet_serving.plain_tensors import read_plain

# The client has no use for complex numbers: number, NumPy's name, the list, and the dtype of one part.
_COMPLEX = (
    (DT_COMPLEX64, "complex64", "scomplex_val", DT_FLOAT),
    (DT_COMPLEX128, "complex128", "dcomplex_val", DT_DOUBLE),
)
_COMPLEX_BY_NUMBER = {kind[0]: kind for kind in _COMPLEX}
_COMPLEX_BY_NAME = {kind[1]: kind for kind in _COMPLEX}


def to_array(proto: TensorProto) -> Array:
    """The array that a request's tensor holds, of the dtype that it names.

    Raises:
        ValueError: The dtype is none that a request can carry, or the values do not fit the shape.
    """
    plain = read_plain(proto)
    if plain is not None:
        return plain
    if proto.dtype in _COMPLEX_BY_NUMBER:
        return _complex_array(proto)
    array = decode(proto)
    # The codec gives float32, of which every bfloat16 is one.
    return array.astype(ml_dtypes.bfloat16) if proto.dtype == DT_BFLOAT16 else array


def to_proto(array: Array, proto: TensorProto, *, as_content: bool = False) -> None:
    """Makes `proto` hold what a session gave.

    Args:
        array: Numbers, bools or strings.
        proto: The message to overwrite.
        as_content: Whether the values go as bytes, instead of into the list of their dtype.

    Raises:
        ValueError: No response can carry the dtype.
    """
    if array.dtype.kind == "c":
        _encode_complex(array, proto, as_content)
    elif as_content:
        encode(array, proto)
    else:
        encode_values(array, proto)


def _complex_array(proto: TensorProto) -> Array:
    _, name, field, part = _COMPLEX_BY_NUMBER[proto.dtype]
    if proto.tensor_content:
        pairs = TensorProto(dtype=part, tensor_content=proto.tensor_content, tensor_shape=proto.tensor_shape)
        pairs.tensor_shape.dim.add(size=2)
        return decode(pairs).view(name)[..., 0]
    listed = getattr(proto, field)
    real, imaginary = (_listed_part(proto, part, listed[start::2]) for start in (0, 1))
    array = np.empty(real.shape, name)
    array.real, array.imag = real, imaginary
    return array


def _listed_part(proto: TensorProto, dtype: int, values: Any) -> Array:
    return decode(
        TensorProto(
            dtype=dtype,
            tensor_shape=proto.tensor_shape,
            **{"float_val" if dtype == DT_FLOAT else "double_val": values},
        )
    )


def _encode_complex(array: Array, proto: TensorProto, as_content: bool) -> None:
    number, _, field, _ = _COMPLEX_BY_NAME[array.dtype.name]
    proto.Clear()
    proto.dtype = number
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if as_content:
        proto.tensor_content = array.tobytes()
    else:
        getattr(proto, field).extend(array.ravel().view(array.real.dtype).tolist())
