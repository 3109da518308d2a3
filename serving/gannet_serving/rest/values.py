"""From JSON values to arrays, by TensorFlow Serving's rules: nothing but decimals is ever rounded."""

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from gannet_client.codec import Array
from gannet_serving.rest.document import kind_of, misformed, shown, to_bytes, too_deep
from gannet_serving.status import StatusError, invalid

Shape = tuple[int, ...]

_B64 = "b64"
_MAX_DIMENSIONS = 64  # NumPy's own limit
_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_UINT64 = (0, 2**64 - 1)
_STRING = 7


@dataclass(frozen=True)
class _Kind:
    """What JSON may stand for a dtype: values of these types; from `lowest` to `highest` as they are."""

    name: str
    array: str
    types: frozenset[type]
    lowest: int
    highest: int
    parsed: str

    def takes(self, values: list[Any]) -> bool:
        """Whether none of the values needs a closer look."""
        types = set(map(type, values))
        return types <= self.types and self.lowest <= min(values) and max(values) <= self.highest


def _whole(name: str, limits: tuple[int, int], parsed: str) -> _Kind:
    return _Kind(name, name, frozenset({int}), *limits, parsed)


def _decimal(name: str, array: str) -> _Kind:
    highest = 2 ** (np.finfo(array).nmant + 1) - 1
    return _Kind(name, array, frozenset({int, float}), -highest, highest, "float64")


# By TensorFlow's number of the dtype. Small integers wrap around, as they do in TensorProto's `int_val`.
_KINDS = {
    1: _decimal("float", "float32"),
    2: _decimal("double", "float64"),
    3: _whole("int32", _INT32, "int32"),
    4: _whole("uint8", _INT32, "int32"),
    5: _whole("int16", _INT32, "int32"),
    6: _whole("int8", _INT32, "int32"),
    _STRING: _Kind("string", "object", frozenset(), 0, 0, "object"),
    9: _whole("int64", _INT64, "int64"),
    10: _Kind("bool", "bool", frozenset({bool}), 0, 1, "bool"),
    22: _whole("uint32", (0, 2**32 - 1), "uint32"),
    23: _whole("uint64", _UINT64, "uint64"),
}
_OTHER_NAMES = {8: "complex64", 14: "bfloat16", 17: "uint16", 18: "complex128", 19: "half"}


class TensorReader:
    """Collects the values of one tensor: of a whole one, or of one row after the other."""

    def __init__(self, dtype: int) -> None:
        """Prepares for values of TensorFlow's dtype number `dtype`."""
        self._dtype = dtype
        self._kind = _KINDS.get(dtype)
        self._leaves: list[Any] = []

    def add(self, value: Any) -> tuple[Shape, int]:
        """Takes a scalar or a nested list.

        Returns:
            Its shape, and the number of values it holds.

        Raises:
            StatusError: The lists are ragged, or a value does not fit the dtype.
        """
        before = len(self._leaves)
        shape = _shape(value)
        self._fill(value, 0, shape)
        return shape, len(self._leaves) - before

    def array(self, shape: Shape) -> Array:
        """All that was taken.

        Raises:
            StatusError: The shape has too many dimensions, or the dtype is one that JSON is not given.
        """
        if len(shape) > _MAX_DIMENSIONS:
            raise too_deep()
        if self._kind is None:  # no value at all came, or it would have been refused
            raise _unimplemented(None, self._dtype)
        flat = np.empty(len(self._leaves), self._kind.parsed)
        flat[:] = self._leaves
        return flat.astype(self._kind.array, copy=False).reshape(shape)

    def _fill(self, value: Any, level: int, shape: Shape) -> None:
        if not isinstance(value, list):
            if level != len(shape):
                raise misformed(
                    value,
                    f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}",
                )
            self._leaves.append(self._leaf(value))
            return
        if level >= len(shape):
            raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        if len(value) != shape[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {shape[level]}"
            )
        if level == len(shape) - 1 and self._kind and value and self._kind.takes(value):
            self._leaves.extend(value)
            return
        for item in value:
            self._fill(item, level + 1, shape)

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, dict):
            if self._dtype != _STRING:
                raise self._misfit(value)
            return decode_b64(value)
        if self._kind is None:
            raise _unimplemented(value, self._dtype)
        if self._dtype == _STRING:
            if not isinstance(value, str):
                raise self._misfit(value)
            return to_bytes(value)
        if type(value) not in self._kind.types:
            raise self._misfit(value)
        if self._kind.parsed == "float64":
            return lossless(value, self._kind.array, self._kind.name)
        if not self._kind.lowest <= value <= self._kind.highest:
            raise self._misfit(value)
        return value

    def _misfit(self, value: Any) -> StatusError:
        name = self._kind.name if self._kind else _OTHER_NAMES.get(self._dtype, "")
        return misformed(value, f"Type: {kind_of(value)} is not of expected type: {name}")


def lossless(value: float, array: str, name: str) -> float:
    """A number as one of a floating dtype: decimals are rounded, but integers must be exact.

    Args:
        value: The number.
        array: NumPy's name of the dtype.
        name: TensorFlow's name of it.

    Raises:
        StatusError: It is an integer that would be rounded, or beyond the dtype's range.
    """
    if isinstance(value, int) and _INT64[0] <= value <= _UINT64[1]:
        fits = abs(value) < 2 ** (np.finfo(array).nmant + 1)
    else:
        is_special = isinstance(value, float) and not math.isfinite(value)
        fits = is_special or abs(value) <= float(np.finfo(array).max)
    if not fits:
        raise invalid(f"Cannot convert JSON value: {shown(value)} to {name} without loss of precision.")
    return float(value)


def is_b64(value: Any) -> bool:
    """Whether a value is an object that stands for bytes.

    >>> is_b64({"b64": "AA=="}), is_b64({"b64": 1}), is_b64({"b64": "", "x": 1})
    (True, False, False)
    """
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_B64), str)


def decode_b64(value: Any) -> bytes:
    """The bytes that an object `{"b64": ...}` stands for; white space and missing padding are fine.

    Raises:
        StatusError: It is another object, or no base64.

    >>> decode_b64({"b64": "aGVsbG8"})
    b'hello'
    """
    if not is_b64(value):
        raise misformed(value, "not formatted correctly for base64 data")
    text = "".join(value[_B64].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _shape(value: Any) -> Shape:
    """The shape that a nested list has if it is regular: that of its first elements."""
    shape: list[int] = []
    while isinstance(value, list):
        if len(shape) == _MAX_DIMENSIONS:
            raise too_deep()
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _unimplemented(value: Any, dtype: int) -> StatusError:
    return StatusError(
        grpc.StatusCode.UNIMPLEMENTED,
        f"Conversion of JSON Value: {shown(value)} to type: {_OTHER_NAMES.get(dtype, f'dtype {dtype}')}",
    )
