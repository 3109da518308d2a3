"""Between TensorProto and the arrays that a session takes and gives."""

import ml_dtypes
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.types_pb2 import DT_BFLOAT16

from gannet_client.codec import Array, decode, encode, encode_values
from gannet_serving.plain_tensors import read_plain


def to_array(proto: TensorProto) -> Array:
    """The array that a request's tensor holds, of the dtype that it names.

    Raises:
        ValueError: The dtype is none that a request can carry, or the values do not fit the shape.
    """
    plain = read_plain(proto)
    if plain is not None:
        return plain
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
    (encode if as_content else encode_values)(array, proto)
