"""Varints: integers, seven bits to the byte, the lowest ones first; 0x80 in a byte says that more follow."""

from typing import Final

import numpy as np

from gannet_client.codec.dtypes import Array

_LONGEST: Final = 10
_BLOCK: Final = 1 << 16  # bytes at once: what they are worked out in stays in the processor's cache


def read_varint(data: memoryview | bytes, position: int) -> tuple[int, int]:
    """The varint at a position, up to 64 bits, and the position behind it.

    Raises:
        ValueError: It is longer than `data`, or than a varint may be.

    >>> read_varint(bytes([0x96, 0x01]), 0)
    (150, 2)
    """
    value = 0
    for shift, byte in enumerate(data[position : position + _LONGEST]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + shift + 1
    raise ValueError(f"there is no whole varint at byte {position}")


def write_varint(value: int) -> bytes:
    r"""The varint of an integer from 0 on.

    >>> write_varint(150)
    b'\x96\x01'
    """
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def read_varints(data: memoryview, dtype: str) -> Array:
    """All varints of `data`, each cut to the width of the integer `dtype` as a C cast does; for bool: not 0.

    Raises:
        ValueError: `data` ends within a varint, or one is longer than it may be.

    >>> read_varints(memoryview(bytes([0x96, 0x01, 5])), "<i4").tolist()
    [150, 5]
    """
    raw = np.frombuffer(data, np.uint8)
    values = np.empty(np.count_nonzero(raw < 0x80), dtype)
    position = filled = 0
    while position < raw.size:
        block = _whole_varints(raw[position : position + _BLOCK])
        part = _read_block(block, values.dtype)
        values[filled : filled + part.size] = part
        position, filled = position + block.size, filled + part.size
    return values


def write_varints(values: Array) -> bytes:
    r"""The varints of integers or bools; a negative one takes ten bytes.

    >>> write_varints(np.array([150, 5]))
    b'\x96\x01\x05'
    """
    rest = values.ravel()
    if rest.dtype.kind == "i":
        rest = (
            rest.astype(np.int64).view(np.uint64)
            if rest.min(initial=0) < 0
            else rest.view(f"u{rest.itemsize}")
        )
    return b"".join(_write_block(rest[start : start + _BLOCK]) for start in range(0, rest.size, _BLOCK))


def _write_block(values: Array) -> bytes:
    """The varints of unsigned integers or bools."""
    longest = -(-int(values.max()).bit_length() // 7)
    if longest < 2:
        return values.astype(np.uint8).tobytes()
    groups = np.empty((values.size, longest), np.uint8)
    needed = np.ones((values.size, longest), bool)
    for group in range(longest):
        groups[:, group] = (values >> 7 * group) & 0x7F
    for group in range(1, longest):
        needed[:, group] = values >= 1 << 7 * group
    groups[:, :-1] |= needed[:, 1:] * np.uint8(0x80)
    return groups.ravel().compress(needed.ravel()).tobytes()


def _whole_varints(block: Array) -> Array:
    """The block without the part of a varint at its end."""
    last = np.flatnonzero(block[-_LONGEST:] < 0x80)
    if not last.size:
        raise ValueError("a list of integers holds no whole varint at its end")
    return block[: max(block.size - _LONGEST, 0) + last[-1] + 1]


def _read_block(block: Array, dtype: np.dtype[np.generic]) -> Array:
    last = block < 0x80
    if last.all():
        return block
    if dtype == np.uint8 and (last[:-1] | (block[1:] == 1)).all():
        return _without_ones(block, last)
    return _read_groups(block, np.flatnonzero(last)).astype(dtype)


def _without_ones(block: Array, last: Array) -> Array:
    """Varints from 0 to 255: one from 128 on is the byte of that value, and 1."""
    first = np.ones_like(last)
    first[1:] = last[:-1]
    return block.compress(first)  # several times as fast as an index of bools


def _read_groups(block: Array, ends: Array) -> Array:
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    longest = lengths.max()
    if longest > _LONGEST:
        raise ValueError(f"a list of integers holds a varint of {longest} bytes; {_LONGEST} are the most")
    values: Array = (block[starts] & 0x7F).astype(np.uint64)
    for group in range(1, longest):
        rows = np.flatnonzero(lengths > group)
        bits = block[starts[rows] + group] & 0x7F
        values[rows] |= bits.astype(np.uint64) << np.uint64(7 * group)
    return values
