"""The codec against TensorFlow: `tf.io.parse_tensor` is `Tensor::FromProto` and thereby the referee."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gannet_client import codec

tf = pytest.importorskip("tensorflow")
tensor_pb2 = pytest.importorskip("tensorflow.core.framework.tensor_pb2")

NUMERIC = ["bool", "float16", "float32", "float64", "complex64", "complex128"] + [
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
]
FIELDS = {
    "bool": "bool_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    "float16": "half_val",
    "float32": "float_val",
    "float64": "double_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}
shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
numeric_arrays = st.sampled_from(NUMERIC).flatmap(lambda dtype: npst.arrays(dtype, shapes))


def proto_of(dtype: Any, shape: list[int], **fields: Any) -> Any:
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(dtype).as_datatype_enum, **fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def referee(proto: Any) -> Any:
    """What TensorFlow reads, or None where it refuses."""
    dtype = tf.as_dtype(proto.dtype)
    try:
        array = tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy()
    except tf.errors.InvalidArgumentError:
        return None
    return np.asarray(array, object) if dtype == tf.string else array  # a scalar string comes as bytes


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs, strict=True)


@given(numeric_arrays)
def test_numbers_survive_both_ways_and_tensorflow_reads_the_same(array: np.ndarray) -> None:
    for fill in (codec.encode, codec.encode_values):
        proto = tensor_pb2.TensorProto()
        fill(array, proto)
        assert_same(codec.decode(proto), array)
        assert_same(tf.make_ndarray(proto), array)
        assert_same(referee(proto), array)


@given(numeric_arrays)
def test_what_tensorflow_makes_is_read(array: np.ndarray) -> None:
    assert_same(codec.decode(tf.make_tensor_proto(array)), array)


@given(npst.arrays(object, shapes, elements=st.binary(max_size=200)))
def test_strings_survive_both_ways(array: np.ndarray) -> None:
    for fill in (codec.encode, codec.encode_values):
        proto = tensor_pb2.TensorProto()
        fill(array, proto)
        assert_same(codec.decode(proto), array)
        assert_same(referee(proto), array)


@given(
    dtype=st.sampled_from(NUMERIC),
    shape=st.lists(st.integers(-1, 3), max_size=3),
    count=st.integers(0, 30),
    unknown_rank=st.booleans(),
    data=st.data(),
)
def test_typed_lists_of_any_length_are_read_or_refused_as_tensorflow_does(
    dtype: str, shape: list[int], count: int, unknown_rank: bool, data: st.DataObject
) -> None:
    values = data.draw(npst.arrays("?" if dtype == "bool" else "u1", count)).tolist()
    proto = proto_of(dtype, shape, **{FIELDS.get(dtype, "int_val"): values})
    proto.tensor_shape.unknown_rank = unknown_rank
    expected = referee(proto)
    if expected is None:
        with pytest.raises(ValueError, match="negative dimension"):
            codec.decode(proto)
    else:
        assert_same(codec.decode(proto), expected)


@given(
    dtype=st.sampled_from([*NUMERIC, "string"]),
    shape=st.lists(st.integers(0, 3), max_size=2),
    content=st.binary(min_size=1, max_size=40),
)
@settings(max_examples=300)
def test_content_of_any_size_is_read_or_refused_as_tensorflow_does(
    dtype: str, shape: list[int], content: bytes
) -> None:
    proto = proto_of(dtype, shape, tensor_content=content)
    expected = referee(proto)
    if expected is None:
        with pytest.raises(ValueError, match="tensor_content"):
            codec.decode(proto)
    else:
        assert_same(codec.decode(proto), expected)


def test_strings_in_the_content_are_split_by_their_lengths() -> None:
    content = bytes([1, 0x80, 0x02]) + b"a" + b"b" * 256
    decoded = codec.decode(proto_of("string", [2], tensor_content=content))
    assert decoded.tolist() == [b"a", b"b" * 256]


def test_integers_are_cut_to_their_width_as_a_c_cast_does() -> None:
    proto = proto_of("int8", [2], int_val=[300, -129])
    assert codec.decode(proto).tolist() == referee(proto).tolist() == [44, 127]


@pytest.mark.parametrize("fill", [codec.encode, codec.encode_values])
def test_bfloat16_is_read_as_float32(fill: Any) -> None:
    array = tf.constant([[0.0, 1.0], [-2.5, 3e38]], tf.bfloat16).numpy()
    proto = tensor_pb2.TensorProto()
    fill(array, proto)
    assert tf.as_dtype(proto.dtype) == tf.bfloat16
    assert_same(codec.decode(proto), array.astype(np.float32))
    assert np.array_equal(referee(proto), array)


@pytest.mark.parametrize("dtype", [0, 11, 101, 999])
def test_an_unknown_dtype_is_refused_by_number(dtype: int) -> None:
    with pytest.raises(ValueError, match=f"^a tensor of dtype {dtype} cannot be read"):
        codec.decode(tensor_pb2.TensorProto(dtype=dtype))


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        ([1 << 40], {"float_val": [1.0]}, "would expand to 4398046511104 bytes; the limit is 268435456"),
        ([1 << 40], {}, "would expand"),
        ([1 << 40], {"tensor_content": b"1234"}, "tensor_content holds 4 bytes"),
        ([1 << 40, 1 << 40], {"float_val": [1.0]}, "too large for any memory"),
        ([1] * 65, {"float_val": [1.0]}, "65 dimensions"),
        ([2, -1], {"float_val": [1.0]}, "negative dimension"),
    ],
)
def test_an_absurd_shape_costs_no_memory(shape: list[int], fields: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        codec.decode(proto_of("float32", shape, **fields))
    assert "\n" not in str(error.value)


def test_the_limit_of_expansion_counts_repeated_values_only() -> None:
    repeated, listed = (
        proto_of("float32", [4], float_val=[1.0]),
        proto_of("float32", [4], float_val=[1.0] * 4),
    )
    assert codec.decode(repeated, max_expanded_bytes=16).tolist() == [1.0] * 4
    assert codec.decode(listed, max_expanded_bytes=0).tolist() == [1.0] * 4
    with pytest.raises(ValueError, match="the limit is 15"):
        codec.decode(repeated, max_expanded_bytes=15)
    with pytest.raises(ValueError, match="would expand"):
        codec.decode(proto_of("string", [1 << 40], string_val=[b"a"]))


def test_encoding_overwrites_what_the_message_held() -> None:
    for fill in (codec.encode, codec.encode_values):
        proto = proto_of("string", [3, 3], string_val=[b"old"], int_val=[1])
        fill(np.array([1, 2], np.int64), proto)
        assert codec.decode(proto).tolist() == [1, 2]
        assert not proto.string_val and not proto.int_val


@pytest.mark.parametrize("fill", [codec.encode, codec.encode_values])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.arange(6, dtype=">f4"),
        np.arange(6, dtype=">f2"),
        np.arange(10, dtype=np.int64)[::-2],
    ],
)
def test_memory_order_and_byte_order_do_not_matter(fill: Any, array: np.ndarray) -> None:
    proto = tensor_pb2.TensorProto()
    fill(array, proto)
    assert codec.decode(proto).tolist() == array.tolist()


def test_text_becomes_bytes() -> None:
    proto = tensor_pb2.TensorProto()
    for array in (np.array(["ä", b"b"], object), np.array(["ä", "b"]), np.array(["ä".encode(), b"b"])):
        codec.encode(array, proto)
        assert codec.decode(proto).tolist() == ["ä".encode(), b"b"]


@pytest.mark.parametrize(
    "array", [np.array(["2026"], "M8[Y]"), np.array([None], object), np.array([5], object)]
)
def test_what_tensorflow_has_no_dtype_for_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"datetime64|NoneType|int"):
        codec.encode(array, tensor_pb2.TensorProto())


def test_content_is_a_read_only_view() -> None:
    proto = tensor_pb2.TensorProto()
    codec.encode(np.zeros(3, np.float32), proto)
    assert not codec.decode(proto).flags.writeable
