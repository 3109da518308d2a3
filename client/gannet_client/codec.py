"""Between NumPy arrays and `tensorflow.TensorProto`, without TensorFlow.

Every function takes the message by its fields alone: the official class and the one of `gannet_client.wire`
work alike. Decoding follows TensorFlow's own `Tensor::FromProto`, so a server that decodes with it accepts
and refuses what TensorFlow Serving does.
"""

import math
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

MAX_EXPANDED_BYTES: Final = 1 << 28
"""A message of a few bytes may ask for its last value to be repeated; beyond this size that is refused."""


class _Numeric:
    """How one numeric dtype travels: `field` holds values as `listed`, content holds them as `stored`.

    Either is decoded to `array`. Equal dtypes are the same object here.
    """

    def __init__(self, number: int, name: str, field: str, listed: str, stored: str) -> None:
        self.number = number
        self.name = name
        self.field = field
        self.listed = np.dtype(listed)
        self.stored = np.dtype(stored)
        decoded = np.dtype("float32" if name == "bfloat16" else name).newbyteorder("<")
        self.array = np.dtype(decoded.str)


# TensorFlow's numbers. Half floats are listed as the bits of a uint16; content is little-endian.
_NUMERIC: Final = (
    _Numeric(1, "float32", "float_val", "<f4", "<f4"),
    _Numeric(2, "float64", "double_val", "<f8", "<f8"),
    _Numeric(3, "int32", "int_val", "<i4", "<i4"),
    _Numeric(4, "uint8", "int_val", "<i4", "u1"),
    _Numeric(5, "int16", "int_val", "<i4", "<i2"),
    _Numeric(6, "int8", "int_val", "<i4", "i1"),
    _Numeric(9, "int64", "int64_val", "<i8", "<i8"),
    _Numeric(10, "bool", "bool_val", "?", "u1"),
    _Numeric(14, "bfloat16", "half_val", "<i4", "<u2"),
    _Numeric(17, "uint16", "int_val", "<i4", "<u2"),
    _Numeric(19, "float16", "half_val", "<i4", "<u2"),
    _Numeric(22, "uint32", "uint32_val", "<u4", "<u4"),
    _Numeric(23, "uint64", "uint64_val", "<u8", "<u8"),
)
_STRING: Final = 7
_BY_NUMBER: Final = {kind.number: kind for kind in _NUMERIC}
_BY_NAME: Final = {kind.name: kind for kind in _NUMERIC}
_BY_DTYPE: Final = {kind.array: kind for kind in _NUMERIC if kind.name != "bfloat16"}
_FIXED_WIDTH: Final = ("float_val", "double_val")
_MAX_DIMENSIONS: Final = 64
_MAX_ELEMENTS: Final = 1 << 59  # of eight bytes each: NumPy counts the bytes in an int64, also around a zero


def dtype_name(number: int) -> str:
    """The NumPy name of TensorFlow's dtype `number`; strings are `bytes`, unknown ones `dtype <number>`.

    >>> dtype_name(1), dtype_name(7), dtype_name(999)
    ('float32', 'bytes', 'dtype 999')
    """
    if number == _STRING:
        return "bytes"
    kind = _BY_NUMBER.get(number)
    return kind.name if kind else f"dtype {number}"


def decode(proto: Any, *, max_expanded_bytes: int = MAX_EXPANDED_BYTES) -> Array:
    """The array that a TensorProto holds.

    The values come from `tensor_content`, whose size must fit exactly, or else from the typed list of the
    dtype: surplus values are cut off, a short list repeats its last value, an empty one means zeros.
    `unknown_rank` is ignored, as TensorFlow does: the dimensions that are listed count.

    Args:
        proto: A `tensorflow.TensorProto`, the official one or that of `gannet_client.wire`.
        max_expanded_bytes: Largest array that may arise by repeating values the message does not hold.

    Returns:
        The array in the message's shape; bfloat16 as float32, strings as an object array of `bytes`.
        It may be a read-only view of the message's bytes: copy it before writing to it.

    Raises:
        ValueError: The dtype is unknown, the shape impossible, or the values do not fit it; one line.
    """
    shape, count = _shape(proto)
    if proto.dtype == _STRING:
        flat = _decode_strings(proto, count, max_expanded_bytes)
    elif proto.dtype in _BY_NUMBER:
        flat = _decode_numbers(proto, _BY_NUMBER[proto.dtype], count, max_expanded_bytes)
    else:
        raise ValueError(
            f"a tensor of {dtype_name(proto.dtype)} cannot be read; expected a number, bool or string"
        )
    return flat.reshape(shape)


def encode(array: Array, proto: Any) -> None:
    """Makes `proto` hold `array` in `tensor_content`, the compact form for requests (strings: `string_val`).

    Args:
        array: Numbers, bools, or strings (object arrays of `bytes` or `str`, or NumPy's `S` and `U`).
        proto: The TensorProto to overwrite.

    Raises:
        ValueError: TensorFlow has no such dtype.
    """
    kind = _describe(array, proto)
    if kind is None:
        proto.string_val.extend(_as_bytes(array))
    else:
        proto.tensor_content = _bits(array, kind).tobytes()


def encode_values(array: Array, proto: Any) -> None:
    """Makes `proto` hold `array` in its typed list at full length, as TensorFlow Serving answers by default.

    Args:
        array: As for `encode`.
        proto: The TensorProto to overwrite.

    Raises:
        ValueError: TensorFlow has no such dtype.
    """
    kind = _describe(array, proto)
    if kind is None:
        proto.string_val.extend(_as_bytes(array))
    elif kind.field in _FIXED_WIDTH:
        _merge_packed(proto, kind.field, _bits(array, kind).tobytes())
    else:
        getattr(proto, kind.field).extend(_bits(array, kind).ravel().tolist())


def _shape(proto: Any) -> tuple[tuple[int, ...], int]:
    shape = tuple([dim.size for dim in proto.tensor_shape.dim])  # a list is quicker here than a generator
    if len(shape) > _MAX_DIMENSIONS:
        raise ValueError(
            f"a tensor of {len(shape)} dimensions cannot be read; NumPy ends at {_MAX_DIMENSIONS}"
        )
    if min(shape, default=0) < 0:
        raise ValueError(f"tensor shape {list(shape)} has a negative dimension; every one must be at least 0")
    count = math.prod(shape)
    if (count or math.prod(max(size, 1) for size in shape)) > _MAX_ELEMENTS:
        raise ValueError(f"tensor shape {list(shape)} is too large for any memory")
    return shape, count


def _decode_numbers(proto: Any, kind: _Numeric, count: int, limit: int) -> Array:
    content = proto.tensor_content if count else b""  # read once: every access copies it
    if content:
        if len(content) != count * kind.stored.itemsize:
            raise ValueError(
                f"tensor_content holds {len(content)} bytes; {count} elements of {kind.name} "
                f"need {count * kind.stored.itemsize}"
            )
        bits = np.frombuffer(content, kind.stored)
    else:
        values = _listed(getattr(proto, kind.field), kind.listed)
        bits = values if kind.listed is kind.stored else values.astype(kind.stored, copy=False)
        if len(bits) != count:
            bits = _fit(bits, count, limit)
    return bits if kind.array is kind.stored else _from_bits(bits, kind)


def _listed(field: Any, dtype: np.dtype[Any]) -> Array:
    if hasattr(field, "__array__"):  # protobuf 7.34 and later: no Python object per element
        return np.asarray(field, dtype)
    return np.fromiter(field, dtype, len(field))


def _fit(values: Array, count: int, limit: int) -> Array:
    """The first `count` values; where there are fewer, the last one is repeated (none at all: zeros)."""
    if len(values) >= count:
        return values[:count]
    if count * values.itemsize > limit:
        raise ValueError(
            f"{count} elements from {len(values)} listed values would expand to "
            f"{count * values.itemsize} bytes; the limit is {limit}"
        )
    fitted = np.zeros(count, values.dtype)
    if len(values):
        fitted[: len(values)] = values
        fitted[len(values) :] = values[-1]
    return fitted


def _from_bits(bits: Array, kind: _Numeric) -> Array:
    if kind.name == "bool":
        return _checked_bool(bits)
    if kind.name == "bfloat16":
        return (bits.astype("<u4") << 16).view("<f4")
    return bits.view(kind.array)


def _checked_bool(bits: Array) -> Array:
    if bits.size and bits.max() > 1:
        raise ValueError(f"tensor_content holds byte {bits.max()} as a bool; expected 0 or 1")
    return bits.view(bool)


def _decode_strings(proto: Any, count: int, limit: int) -> Array:
    content = proto.tensor_content if count else b""
    listed = _split(content, count) if content else list(proto.string_val[:count]) or [b""]
    values = np.empty(len(listed), object)
    values[:] = listed
    return _fit(values, count, limit)


def _split(content: bytes, count: int) -> list[bytes]:
    """Strings in `tensor_content`: `count` varint lengths, then the bytes of all, without a gap."""
    ends = [0]
    position = 0
    try:
        while len(ends) <= count:
            length, position = _read_varint(content, position)
            ends.append(ends[-1] + length)
    except IndexError:
        position = len(content) + 1
    if position + ends[-1] != len(content):
        raise ValueError(f"tensor_content of {len(content)} bytes does not hold {count} strings")
    return [content[position + start : position + end] for start, end in pairwise(ends)]


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):  # a length has 32 bits: five groups of seven
        value |= (content[position] & 0x7F) << shift
        position += 1
        if content[position - 1] < 0x80:
            return value, position
    raise IndexError("a varint of more than 32 bits")


def _describe(array: Array, proto: Any) -> _Numeric | None:
    """Resets `proto` to the dtype and shape of `array`; None stands for strings."""
    is_text = array.dtype.kind in "OSU"
    kind = None if is_text else _BY_DTYPE.get(array.dtype) or _BY_NAME.get(array.dtype.name)
    if kind is None and not is_text:
        raise ValueError(
            f"an array of {array.dtype} cannot be sent; expected one of {', '.join(_BY_NAME)} or bytes"
        )
    proto.Clear()
    proto.dtype = kind.number if kind else _STRING
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    return kind


def _bits(array: Array, kind: _Numeric) -> Array:
    if kind.field == "half_val":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).view(kind.stored)
    return array.astype(kind.stored, copy=False)


def _as_bytes(array: Array) -> list[bytes]:
    return [_to_bytes(item) for item in array.ravel().tolist()]


def _to_bytes(item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes):
        return item
    raise ValueError(
        f"an object array must hold bytes or str; received an element of type {type(item).__name__}"
    )


def _merge_packed(proto: Any, field: str, payload: bytes) -> None:
    """Appends fixed-width values as one packed field, which spares one Python object for each."""
    length = bytearray()
    rest = len(payload)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    tag = proto.DESCRIPTOR.fields_by_name[field].number << 3 | 2
    proto.MergeFromString(bytes([tag, *length, rest]) + payload)
