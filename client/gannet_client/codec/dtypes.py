"""How each dtype travels in a `tensorflow.TensorProto`."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Numeric:
    """How one numeric dtype travels: in `tensor_content`, or as a packed list.

    Attributes:
        number: TensorFlow's number of the dtype.
        name: NumPy's name of it.
        field: The number of the list's field.
        fixed: The dtype of the list's entries; None where they are varints.
        stored: The dtype of the entries of `tensor_content`, to which those of the list are cut.
    """

    number: int
    name: str
    field: int
    fixed: str | None
    stored: str


# Half floats are listed and stored as the bits of a uint16; everything is little-endian.
_NUMERIC: Final = (
    Numeric(1, "float32", 5, "<f4", "<f4"),
    Numeric(2, "float64", 6, "<f8", "<f8"),
    Numeric(3, "int32", 7, None, "<i4"),
    Numeric(4, "uint8", 7, None, "u1"),
    Numeric(5, "int16", 7, None, "<i2"),
    Numeric(6, "int8", 7, None, "i1"),
    Numeric(8, "complex64", 9, "<f4", "<c8"),
    Numeric(9, "int64", 10, None, "<i8"),
    Numeric(10, "bool", 11, None, "?"),
    Numeric(14, "bfloat16", 13, None, "<u2"),
    Numeric(17, "uint16", 7, None, "<u2"),
    Numeric(18, "complex128", 12, "<f8", "<c16"),
    Numeric(19, "float16", 13, None, "<u2"),
    Numeric(22, "uint32", 16, None, "<u4"),
    Numeric(23, "uint64", 17, None, "<u8"),
)
STRING: Final = 7
BY_NUMBER: Final = {kind.number: kind for kind in _NUMERIC}
BY_NAME: Final = {kind.name: kind for kind in _NUMERIC}


def dtype_name(number: int) -> str:
    """The NumPy name of TensorFlow's dtype `number`; strings are `bytes`, unknown ones `dtype <number>`.

    >>> dtype_name(1), dtype_name(7), dtype_name(999)
    ('float32', 'bytes', 'dtype 999')
    """
    if number == STRING:
        return "bytes"
    kind = BY_NUMBER.get(number)
    return kind.name if kind else f"dtype {number}"
