"""From the bytes of a `tensorflow.TensorProto`, or of a whole response, to NumPy arrays.

What stands in the message as an array's own bytes is not copied. Decoding follows TensorFlow's own
`Tensor::FromProto`, so a server that decodes with it accepts and refuses what TensorFlow Serving does.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from gannet_client import wire
from gannet_client.codec.dtypes import BY_NUMBER, STRING, Array, Numeric, dtype_name
from gannet_client.codec.fields import MAX_REPEATED, Fields, Irregular, chunk_tag, read_fields, varint_tag
from gannet_client.codec.varints import read_varint, read_varints

MAX_EXPANDED_BYTES: Final = 1 << 28
"""A message of a few bytes may ask for its last value to be repeated; beyond this size that is refused."""

_OUTPUTS, _MODEL_SPEC = chunk_tag(1), chunk_tag(2)
_KEY, _VALUE = chunk_tag(1), chunk_tag(2)
_DTYPE, _SHAPE, _CONTENT, _STRINGS = varint_tag(1), chunk_tag(2), chunk_tag(4), chunk_tag(8)
_LISTS: Final = {chunk_tag(kind.field) for kind in BY_NUMBER.values()}
_MAX_DIMENSIONS: Final = 64
_MAX_SHAPE_BYTES: Final = 1 << 16  # a dimension has a size, and may have a name
_MAX_ELEMENTS: Final = 1 << 58  # of 16 bytes each: NumPy counts the bytes in an int64, also around a zero

_Message = TypeVar("_Message", bound=Message)
_Result = TypeVar("_Result")


class Response(NamedTuple):
    """What a PredictResponse holds: the outputs by name, and which version of which model they come from."""

    outputs: dict[str, Array]
    model: str
    version: int


def decode(proto: Message, *, max_expanded_bytes: int = MAX_EXPANDED_BYTES) -> Array:
    """The array that a TensorProto holds.

    The values come from `tensor_content`, whose size must fit exactly, or else from the typed list of the
    dtype: surplus values are cut off, a short list repeats its last value, an empty one means zeros.
    `unknown_rank` is ignored, as TensorFlow does: the dimensions that are listed count.

    Args:
        proto: A `tensorflow.TensorProto`, the official one or that of `gannet_client.wire`.
        max_expanded_bytes: Largest array that may arise by repeating values the message does not hold.

    Returns:
        The array in the message's shape; bfloat16 as float32, strings as an object array of `bytes`.
        It may be a read-only view, at any address, of the message's bytes: copy it before writing to it.

    Raises:
        ValueError: The dtype is unknown, the shape impossible, or the values do not fit it; one line.
    """
    data = proto.SerializeToString()
    return _regular(lambda view: _read_tensor(view, max_expanded_bytes), data, wire.TensorProto)


def decode_response(data: bytes) -> dict[str, Array]:
    """The outputs by name in the received bytes of a PredictResponse; otherwise as `decode`.

    >>> decode_response(b"")
    {}
    """
    return read_response(data).outputs


def read_response(data: bytes, *, max_expanded_bytes: int = MAX_EXPANDED_BYTES) -> Response:
    """All that the received bytes of a PredictResponse hold; otherwise as `decode`."""
    return _regular(lambda view: _read_response(view, max_expanded_bytes), data, wire.PredictResponse)


def _regular(read: Callable[[memoryview], _Result], data: bytes, message: type[Message]) -> _Result:
    """Reads the message; one of irregular form is written anew by protobuf before."""
    try:
        return read(memoryview(data))
    except Irregular:
        return read(memoryview(_rewritten(data, message)))


def _rewritten(data: bytes, message: type[Message]) -> bytes:
    parsed = _parsed(memoryview(data), message)
    parsed.DiscardUnknownFields()
    return parsed.SerializeToString()


def _parsed(data: memoryview, message: type[_Message]) -> _Message:
    try:
        return message.FromString(bytes(data))
    except DecodeError:
        raise ValueError(f"{len(data)} bytes are no {message.DESCRIPTOR.name}") from None


def _read_response(data: memoryview, limit: int) -> Response:
    fields = read_fields(data, _OUTPUTS)
    spec = _parsed(fields.chunks.get(_MODEL_SPEC, data[:0]), wire.ModelSpec)
    outputs = dict(_read_output(entry, limit) for entry in fields.repeated)
    return Response(outputs, spec.name, spec.version.value)


def _read_output(entry: memoryview, limit: int) -> tuple[str, Array]:
    fields = read_fields(entry)
    chunks = fields.chunks
    if fields.numbers or chunks.keys() - {_KEY, _VALUE}:
        raise Irregular  # implementations of protobuf differ in whether this is an output
    key = bytes(chunks.get(_KEY, b""))
    try:
        name = key.decode()
    except UnicodeDecodeError:
        raise ValueError(f"an output has the name {key!r:.100}, which is no UTF-8") from None
    try:
        return name, _read_tensor(chunks.get(_VALUE, entry[:0]), limit)
    except ValueError as error:
        raise ValueError(f"output {name!r}: {error}") from None


def _read_tensor(data: memoryview, limit: int) -> Array:
    fields = read_fields(data, _STRINGS)
    number = fields.numbers.get(_DTYPE, 0) & 0xFFFF_FFFF
    shape, count = _read_shape(fields.chunks.get(_SHAPE, data[:0]))
    kind = BY_NUMBER.get(number)
    if _values(fields) - {chunk_tag(kind.field) if kind else _STRINGS}:
        _parsed(data, wire.TensorProto)  # lists of other dtypes are not read, but have to be sound
    if kind:
        return _read_numbers(fields, kind, count, limit).reshape(shape)
    if number == STRING:
        return _read_strings(fields, count, limit).reshape(shape)
    raise ValueError(f"a tensor of {dtype_name(number)} cannot be read; expected a number, bool or string")


def _read_shape(data: memoryview) -> tuple[tuple[int, ...], int]:
    if len(data) > _MAX_SHAPE_BYTES:
        raise ValueError(
            f"a tensor shape of {len(data)} bytes cannot be read; the limit is {_MAX_SHAPE_BYTES}"
        )
    return _shape(bytes(data))


@lru_cache(maxsize=64)  # the answers of a model have few shapes
def _shape(data: bytes) -> tuple[tuple[int, ...], int]:
    shape = tuple(dim.size for dim in _parsed(memoryview(data), wire.TensorShapeProto).dim)
    if len(shape) > _MAX_DIMENSIONS:
        raise ValueError(
            f"a tensor of {len(shape)} dimensions cannot be read; NumPy ends at {_MAX_DIMENSIONS}"
        )
    if min(shape, default=0) < 0:
        raise ValueError(f"tensor shape {list(shape)} has a negative dimension; every one must be at least 0")
    if math.prod(max(size, 1) for size in shape) > _MAX_ELEMENTS:
        raise ValueError(f"tensor shape {list(shape)} is too large for any memory")
    return shape, math.prod(shape)


def _values(fields: Fields) -> set[int]:
    """The tags of all values that a tensor holds."""
    return {tag for tag in fields.chunks if tag in _LISTS} | ({_STRINGS} if fields.repeated else set())


def _read_numbers(fields: Fields, kind: Numeric, count: int, limit: int) -> Array:
    content = fields.chunks.get(_CONTENT) if count else None
    if not content:
        return _from_bits(_fit(_listed(fields, kind), count, limit), kind.name)
    width = np.dtype(kind.stored).itemsize
    if len(content) != count * width:
        raise ValueError(
            f"tensor_content holds {len(content)} bytes; {count} elements of {kind.name} need {count * width}"
        )
    if kind.name == "bool":
        return _checked_bool(np.frombuffer(content, np.uint8))
    return _from_bits(np.frombuffer(content, kind.stored), kind.name)


def _listed(fields: Fields, kind: Numeric) -> Array:
    """The values of the dtype's list."""
    packed = fields.packed(kind.field)
    if kind.fixed is None:
        return read_varints(packed, kind.stored)
    entry = np.dtype(kind.fixed).itemsize
    if len(packed) % entry:
        raise ValueError(f"a list of {kind.name} has {len(packed)} bytes; expected {entry} for each number")
    stored = np.dtype(kind.stored)
    return np.frombuffer(packed, stored, len(packed) // stored.itemsize)


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


def _from_bits(bits: Array, name: str) -> Array:
    if name == "bfloat16":
        return (bits.astype("<u4") << 16).view("<f4")
    return bits.view("<f2") if name == "float16" else bits


def _checked_bool(content: Array) -> Array:
    if content.size and content.max() > 1:
        raise ValueError(f"tensor_content holds byte {content.max()} as a bool; expected 0 or 1")
    return content.view(bool)


def _read_strings(fields: Fields, count: int, limit: int) -> Array:
    if count > MAX_REPEATED:
        raise ValueError(f"{count} strings would expand beyond the limit of {MAX_REPEATED}")
    content = fields.chunks.get(_CONTENT) if count else None
    listed = _split(content, count) if content else list(map(bytes, fields.repeated[:count])) or [b""]
    values = np.empty(len(listed), object)
    values[:] = listed
    return _fit(values, count, limit)


def _split(content: memoryview, count: int) -> list[bytes]:
    """Strings in `tensor_content`: `count` varint lengths, then the bytes of all, without a gap."""
    ends = [0]
    position = 0
    try:
        while len(ends) <= count:
            length, position = read_varint(content, position)
            if length >> 32:
                raise ValueError("a string is longer than any string may be")
            ends.append(ends[-1] + length)
    except ValueError:
        position = len(content) + 1
    if position + ends[-1] != len(content):
        raise ValueError(f"tensor_content of {len(content)} bytes does not hold {count} strings")
    return [bytes(content[position + start : position + end]) for start, end in pairwise(ends)]
