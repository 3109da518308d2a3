"""Lists of integers in protobuf's variable length, worked out in NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gannet_client.codec.varints import read_varints, write_varint, write_varints


@given(npst.arrays(npst.integer_dtypes(endianness="<") | npst.unsigned_integer_dtypes(endianness="<"), 50))
def test_varints_survive_both_ways(array: np.ndarray) -> None:
    assert read_varints(memoryview(write_varints(array)), array.dtype.str).tolist() == array.tolist()
    if array.dtype.kind == "u":
        assert write_varints(array) == b"".join(write_varint(int(value)) for value in array)


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=40), st.sampled_from(["u1", "i1", "<u2", "<i4", "<u8", "?"])
)
def test_varints_are_cut_as_a_c_cast_does(values: list[int], dtype: str) -> None:
    written = b"".join(map(write_varint, values))
    expected = np.array(values, np.uint64).astype(dtype)
    np.testing.assert_array_equal(read_varints(memoryview(written), dtype), expected, strict=True)


@pytest.mark.parametrize("values", [np.arange(700_000) % 256, np.arange(-100_000, 100_000), np.ones(9)])
def test_long_lists_are_read_across_blocks(values: np.ndarray) -> None:
    array = values.astype(np.int64)
    written = memoryview(write_varints(array))
    for dtype in ("u1", "i1", "<u2", "<i8", "?"):
        np.testing.assert_array_equal(read_varints(written, dtype), array.astype(dtype), strict=True)


def test_varints_of_more_bytes_than_needed_are_read() -> None:
    padded = bytes([0x85, 0x80, 0x80, 0x00, 0x80, 0x00, 0x07])
    assert read_varints(memoryview(padded), "u1").tolist() == [5, 0, 7]
    assert read_varints(memoryview(padded), "?").tolist() == [True, False, True]


@pytest.mark.parametrize("broken", [b"\x80", b"\x05\x80", b"\x80" * 10 + b"\x01", b"\x05" * 3 + b"\xff" * 30])
@pytest.mark.parametrize("dtype", ["u1", "<i8", "?"])
def test_broken_varints_are_refused(broken: bytes, dtype: str) -> None:
    with pytest.raises(ValueError, match="varint"):
        read_varints(memoryview(broken), dtype)
