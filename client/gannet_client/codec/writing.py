"""From NumPy arrays to the bytes of a `tensorflow.TensorProto`, or of a whole request."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
from google.protobuf.message import Message

from gannet_client import wire
from gannet_client.codec.dtypes import BY_NAME, STRING, Array, Numeric
from gannet_client.codec.fields import chunk_tag, varint_tag
from gannet_client.codec.varints import write_varint, write_varints

_REMEMBERED: Final = 256  # the requests of a stream have few names, dtypes and shapes

_MODEL_SPEC, _INPUTS = chunk_tag(1), chunk_tag(2)
_KEY, _VALUE = chunk_tag(1), chunk_tag(2)
_DTYPE, _SHAPE, _CONTENT, _STRINGS = varint_tag(1), chunk_tag(2), chunk_tag(4), chunk_tag(8)
_DIM, _SIZE = chunk_tag(2), varint_tag(1)


def encode(array: Array, proto: Message) -> None:
    """Makes `proto` hold `array` in `tensor_content`, the compact form for requests (strings: `string_val`).

    Args:
        array: Numbers, bools, or strings (object arrays of `bytes` or `str`, or NumPy's `S` and `U`).
        proto: The TensorProto to overwrite, the official one or that of `gannet_client.wire`.

    Raises:
        ValueError: TensorFlow has no such dtype.
    """
    proto.ParseFromString(b"".join(_tensor(array)))


def encode_values(array: Array, proto: Message) -> None:
    """Makes `proto` hold `array` in its typed list at full length, as TensorFlow Serving answers by default.

    Args:
        array: As for `encode`.
        proto: As for `encode`.

    Raises:
        ValueError: TensorFlow has no such dtype.
    """
    proto.ParseFromString(b"".join(_tensor_of_values(array)))


def encode_request(spec: wire.ModelSpec, inputs: Mapping[str, Array]) -> bytes:
    """The bytes of a PredictRequest, made with a single copy of each array.

    Args:
        spec: The model, its version and the signature.
        inputs: What the signature takes, by name.

    Raises:
        ValueError: TensorFlow has no such dtype; the message begins with the input's name.

    >>> request = encode_request(wire.ModelSpec(name="digits"), {"seeds": np.arange(3)})
    >>> wire.PredictRequest.FromString(request).model_spec.name
    'digits'
    """
    parts: list[bytes | memoryview] = [_open(_MODEL_SPEC, spec.SerializeToString())]
    for name, array in inputs.items():
        try:
            head, content = _tensor(array)
            parts += [_input(name, head, len(content)), content]
        except ValueError as error:
            raise ValueError(f"input {name!r} cannot be sent: {error}") from error
    return b"".join(parts)


def _tensor(array: Array) -> tuple[bytes, bytes | memoryview]:
    """What stands before the array's own bytes, and those."""
    kind = _kind(array.dtype)
    if kind is None:
        return _head(STRING, array.shape), _strings(array)
    content = _raw(_bits(array, kind))
    return _head(kind.number, array.shape, _CONTENT, len(content)), content


def _tensor_of_values(array: Array) -> tuple[bytes, bytes | memoryview]:
    kind = _kind(array.dtype)
    if kind is None:
        return _tensor(array)
    bits = _bits(array, kind)
    packed = write_varints(bits) if kind.fixed is None else _raw(bits)
    return _head(kind.number, array.shape, chunk_tag(kind.field), len(packed)), packed


@lru_cache(_REMEMBERED)
def _kind(dtype: np.dtype[Any]) -> Numeric | None:
    """How such an array travels; None stands for strings."""
    if dtype.kind in "OSU":
        return None
    kind = BY_NAME.get(dtype.name)
    if kind is None:
        raise ValueError(f"an array of {dtype} cannot be sent; expected one of {', '.join(BY_NAME)} or bytes")
    return kind


@lru_cache(_REMEMBERED)
def _input(name: str, head: bytes, size: int) -> bytes:
    """What stands before the `size` bytes of an input's array."""
    key = _open(_KEY, name.encode())
    return _open(_INPUTS, key + _open(_VALUE, head, size), size)


@lru_cache(_REMEMBERED)
def _head(dtype: int, shape: tuple[int, ...], content: int | None = None, size: int = 0) -> bytes:
    """A tensor's dtype and shape, and the beginning of the field `content` of `size` bytes."""
    sizes = (write_varint(_SIZE) + write_varint(size) for size in shape)
    dims = b"".join(_open(_DIM, size) for size in sizes)
    head = write_varint(_DTYPE) + write_varint(dtype) + _open(_SHAPE, dims)
    return head if content is None else head + _open(content, b"", size)


def _open(tag: int, begin: bytes, rest: int = 0) -> bytes:
    """A field that begins with these bytes; as many as `rest` are to follow."""
    return write_varint(tag) + write_varint(len(begin) + rest) + begin


def _strings(array: Array) -> bytes:
    return b"".join(_open(_STRINGS, _to_bytes(item)) for item in array.ravel().tolist())


def _bits(array: Array, kind: Numeric) -> Array:
    if kind.name in ("float16", "bfloat16"):
        return array.astype(array.dtype.newbyteorder("<"), copy=False).view(kind.stored)
    return array.astype(kind.stored, copy=False)


def _raw(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _to_bytes(item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes):
        return item
    raise ValueError(
        f"an object array must hold bytes or str; received an element of type {type(item).__name__}"
    )
