"""Tensors read in few steps: what comes out is what the codec reads."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gannet_client.codec import decode, encode, encode_values
from gannet_serving.engine import import_tensorflow

DTYPES = ("float32", "float64", "int32", "int64")
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
)


@pytest.fixture(scope="module")
def messages() -> Any:
    import_tensorflow()
    from tensorflow.core.framework import tensor_pb2

    return tensor_pb2


@given(ARRAYS, st.booleans())
def test_a_plain_tensor_is_read_as_the_codec_reads_it(
    messages: Any, array: np.ndarray, as_content: bool
) -> None:
    from gannet_serving.plain_tensors import read_plain

    proto = messages.TensorProto()
    (encode if as_content else encode_values)(array, proto)
    read = read_plain(proto)
    assert (read is None) == (array.size == 0 or array.ndim == 0)
    if read is not None:
        np.testing.assert_array_equal(read, decode(proto), strict=True)
        assert read.dtype == array.dtype


@given(ARRAYS, st.lists(st.integers(-2, 4), max_size=4), st.booleans())
def test_what_does_not_fit_its_shape_is_left_to_the_codec(
    messages: Any, array: np.ndarray, sizes: list[int], as_content: bool
) -> None:
    from gannet_serving.plain_tensors import read_plain

    proto = messages.TensorProto()
    (encode if as_content else encode_values)(array, proto)
    del proto.tensor_shape.dim[:]
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    read = read_plain(proto)
    if read is not None:
        assert list(read.shape) == sizes
        np.testing.assert_array_equal(read, decode(proto), strict=True)


@pytest.mark.parametrize("number", [0, 4, 7, 14, 999])
def test_other_dtypes_are_left_to_the_codec(messages: Any, number: int) -> None:
    from gannet_serving.plain_tensors import read_plain

    proto = messages.TensorProto(dtype=number, tensor_content=b"abcd")
    proto.tensor_shape.dim.add(size=1)
    assert read_plain(proto) is None
