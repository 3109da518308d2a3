"""Whole responses and requests as bytes: what the official stubs read and write is what the codec does."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gannet_client import codec, wire
from gannet_client.codec import fields
from gannet_client.codec.varints import write_varint

tf = pytest.importorskip("tensorflow")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")

NUMERIC = ["bool", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
NUMERIC += [f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)]
LISTS = {"bool": 11, "float16": 13, "bfloat16": 13, "float32": 5, "float64": 6, "complex64": 9}
LISTS |= {"complex128": 12, "int64": 10, "uint32": 16, "uint64": 17}
PACKED_AS = {"float32": "f4", "float64": "f8", "complex64": "f4", "complex128": "f8"}
SMALL = 1 << 16

shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def numbers(dtype: str) -> st.SearchStrategy[np.ndarray]:
    if dtype == "bfloat16":
        return npst.arrays("f4", shapes).map(lambda array: tf.cast(array, tf.bfloat16).numpy())
    return npst.arrays(dtype, shapes)


arrays = st.sampled_from(NUMERIC).flatmap(numbers) | npst.arrays(
    object, shapes, elements=st.binary(max_size=99)
)
outputs = st.dictionaries(st.text(max_size=9), arrays, max_size=4)
fills = st.sampled_from(["make_tensor_proto", "encode", "encode_values"])


def fill(array: np.ndarray, proto: Any, how: str) -> None:
    if how == "make_tensor_proto":
        proto.CopyFrom(tf.make_tensor_proto(array))
    else:
        getattr(codec, how)(array, proto)


def official_array(proto: Any) -> np.ndarray:
    """What TensorFlow reads, as the codec gives it."""
    array = np.asarray(tf.make_ndarray(proto))
    return array.astype("f4") if proto.dtype == tf.bfloat16.as_datatype_enum else array


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, strict=True)


# Regular responses and requests.


@given(outputs, st.lists(fills, min_size=4, max_size=4), st.text(max_size=9), st.integers(0, 2**63 - 1))
def test_official_responses_are_read(
    given_arrays: dict[str, np.ndarray], how: list[str], model: str, version: int
) -> None:
    response = predict_pb2.PredictResponse()
    response.model_spec.name = model
    response.model_spec.version.value = version
    for (name, array), one in zip(given_arrays.items(), how, strict=False):
        fill(array, response.outputs[name], one)
    read = codec.read_response(response.SerializeToString())
    assert (read.model, read.version) == (model, version)
    assert_same(read.outputs, {name: official_array(proto) for name, proto in response.outputs.items()})


@given(outputs)
def test_official_stubs_read_our_requests(inputs: dict[str, np.ndarray]) -> None:
    spec = wire.ModelSpec(name="digits", signature_name="pixels")
    request = predict_pb2.PredictRequest.FromString(codec.encode_request(spec, inputs))
    assert (request.model_spec.name, request.model_spec.signature_name) == ("digits", "pixels")
    for name, array in inputs.items():
        assert request.inputs[name].tensor_content or array.dtype == object or not array.size
        read = tf.make_ndarray(request.inputs[name])
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.tolist() == array.tolist() if array.dtype == object else read.tobytes() == array.tobytes()
    assert request.inputs.keys() == inputs.keys()


def test_an_input_that_cannot_be_sent_is_named() -> None:
    with pytest.raises(ValueError, match=r"^input 'when' cannot be sent: an array of datetime64"):
        codec.encode_request(wire.ModelSpec(), {"when": np.array(["2026"], "M8[Y]")})


@pytest.mark.parametrize("how", ["encode", "encode_values"])
def test_floats_are_views_of_what_was_received(how: str) -> None:
    response = predict_pb2.PredictResponse()
    fill(np.zeros((4, 8, 8, 3), np.float32), response.outputs["images"], how)
    received = response.SerializeToString()
    images = codec.decode_response(received)["images"]
    start = np.frombuffer(received, np.uint8).ctypes.data
    assert start <= images.ctypes.data <= start + len(received) - images.nbytes
    assert not images.flags.writeable


# Irregular, broken and hostile ones.


def chunk(number: int, payload: bytes) -> bytes:
    return write_varint(number << 3 | 2) + write_varint(len(payload)) + payload


def respond(tensor: bytes) -> bytes:
    """A response whose only output `x` is the tensor."""
    return chunk(1, chunk(1, b"x") + chunk(2, tensor))


def judged(tensor: bytes) -> np.ndarray | None:
    """What `Tensor::FromProto` reads from these bytes, as the codec gives it, or None where it refuses."""
    try:
        proto = tf.make_tensor_proto(0)
        proto.ParseFromString(tensor)
        array = tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(proto.dtype)).numpy()
    except (DecodeError, TypeError, tf.errors.InvalidArgumentError):
        return None
    if proto.dtype == tf.string.as_datatype_enum:
        return np.asarray(array, object)
    return np.asarray(array, "f4" if proto.dtype == tf.bfloat16.as_datatype_enum else None)


def pieces(draw: Any, dtype: str, values: np.ndarray) -> list[bytes]:
    """The list of the dtype in several pieces, some packed, some not."""
    number = LISTS.get(dtype, 7)
    fixed = PACKED_AS.get(dtype)
    found = []
    for value in values.astype(fixed or np.int64):
        one = value.tobytes() if fixed else write_varint(int(value))
        kind = {"f4": 5, "f8": 1, None: 0}[fixed]
        packed = draw(st.booleans())
        found.append(chunk(number, one) if packed else write_varint(number << 3 | kind) + one)
    return found


unknown = st.sampled_from(
    [
        chunk(900, b"text"),
        write_varint(901 << 3) + b"\x07",
        write_varint(902 << 3 | 5) + b"four",
        write_varint(903 << 3 | 1) + b"eight by",
        write_varint(904 << 3 | 3) + b"\x08\x01" + write_varint(904 << 3 | 4),
    ]
)


@given(dtype=st.sampled_from(NUMERIC), size=st.integers(0, 6), count=st.integers(0, 8), data=st.data())
@settings(max_examples=300)
def test_lists_in_pieces_and_unknown_fields_are_read_as_the_official_parser_does(
    dtype: str, size: int, count: int, data: st.DataObject
) -> None:
    values = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    head = [write_varint(8) + write_varint(tf.as_dtype(dtype).as_datatype_enum)]
    shape = chunk(2, chunk(2, b"\x08" + write_varint(size)) if size else chunk(2, b""))
    parts = [*head, shape, *pieces(data.draw, dtype, values), *data.draw(st.lists(unknown, max_size=4))]
    tensor = b"".join(data.draw(st.permutations(parts)))
    expected = judged(tensor)
    assert expected is not None
    assert_same(codec.decode_response(respond(tensor)), {"x": expected})


def test_what_stands_twice_is_merged_as_the_official_parser_does() -> None:
    one, two = (np.full(2, n, np.int32).tobytes() for n in (1, 2))
    tensors = [
        b"\x08\x01\x08\x03" + chunk(2, chunk(2, b"\x08\x02")) + chunk(4, one) + chunk(4, two),
        b"\x08\x03" + chunk(2, chunk(2, b"\x08\x02")) + chunk(2, chunk(2, b"\x08\x01")) + chunk(4, two),
    ]
    for tensor in tensors:
        expected = judged(tensor)
        assert expected is not None
        assert_same(codec.decode_response(respond(tensor)), {"x": expected})
    first, second = (tf.make_tensor_proto([n, n]).SerializeToString() for n in (1, 2))
    data = respond(first) + respond(second) + chunk(2, chunk(1, b"a")) + chunk(2, chunk(1, b"b"))
    assert codec.read_response(data).model == "b"
    assert codec.decode_response(data)["x"].tolist() == [2, 2]


@contextmanager
def little_memory() -> Iterator[None]:
    """What happens inside takes less than a megabyte."""
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20


BASES = [
    (np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1), "encode"),
    (np.arange(200, 224, dtype=np.uint8).reshape(1, 2, 4, 3), "encode_values"),
    (np.arange(-3, 3).reshape(2, 3), "encode_values"),
    (np.array([b"one", b"", b"three"], object), "encode"),
    (np.linspace(0, 1, 6).astype(np.float16), "encode_values"),
]


def response_of(array: np.ndarray, how: str) -> bytes:
    response = predict_pb2.PredictResponse()
    response.model_spec.name = "digits"
    fill(array, response.outputs["x"], how)
    return bytes(response.SerializeToString())


def same_verdict(data: bytes) -> None:
    """Reads what the official parser and TensorFlow read, refuses what they refuse, in little memory."""
    try:
        response = predict_pb2.PredictResponse.FromString(data)
    except DecodeError:
        response = None
    try:
        with little_memory():
            ours = codec.read_response(data, max_expanded_bytes=SMALL)
    except ValueError as error:
        assert "\n" not in str(error)
        readable = response and all(is_small(proto) for proto in response.outputs.values())
        assert not readable or None in [judged(p.SerializeToString()) for p in response.outputs.values()]
        return
    if response is None:  # a field is broken that TensorFlow alone knows
        assert wire.PredictResponse.FromString(data).model_spec.name == ours.model
        return
    assert ours.model == response.model_spec.name
    assert_same(ours.outputs, {n: judged(p.SerializeToString()) for n, p in response.outputs.items()})


def is_small(proto: Any) -> bool:
    """Whether TensorFlow may be asked, and the codec has no limit of its own."""
    known = codec.dtype_name(proto.dtype).partition(" ")[0] != "dtype"
    sizes = [abs(dim.size) for dim in proto.tensor_shape.dim]
    return known and np.prod([float(max(size, 1)) for size in sizes]) * 16 <= SMALL


@given(st.sampled_from(BASES), st.data())
@settings(max_examples=500)
def test_bytes_that_were_changed_are_judged_as_the_official_parser_does(
    base: Any, data: st.DataObject
) -> None:
    changed = bytearray(response_of(*base))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        if data.draw(st.booleans()):
            changed[place] = data.draw(st.integers(0, 255))
        else:
            changed[place:place] = data.draw(st.binary(max_size=3))
    same_verdict(bytes(changed))


@pytest.mark.parametrize("base", BASES, ids=lambda base: f"{base[0].dtype}-{base[1]}")
def test_a_response_that_breaks_off_is_judged_as_the_official_parser_does(base: Any) -> None:
    whole = response_of(*base)
    for length in range(len(whole)):
        same_verdict(whole[:length])


@given(st.binary(max_size=60))
def test_any_bytes_are_judged_as_the_official_parser_does(data: bytes) -> None:
    same_verdict(data)


DIM = b"\x12\x0a\x08" + write_varint(1 << 62)  # a dimension of 2^62


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (respond(b"\x08\x01" + chunk(2, DIM)), "output 'x': tensor shape .4611686018427387904. is too large"),
        (respond(b"\x08\x07" + chunk(2, DIM)), "too large for any memory"),
        (respond(b"\x08\x07" + chunk(2, chunk(2, b"\x08" + write_varint(1 << 40)))), "strings would expand"),
        (respond(b"\x08\x01" + chunk(2, chunk(2, b"\x08" + write_varint(2**64 - 1)))), "negative dimension"),
        (respond(b"\x08\x01" + chunk(2, b"\x12\x00" * 65)), "65 dimensions"),
        (
            respond(b"\x08\x01" + chunk(2, b"\x12\x00" * 40000)),
            "a tensor shape of 80000 bytes cannot be read",
        ),
        (respond(b"\x08\x01" + chunk(5, b"123")), "a list of float32 has 3 bytes; expected 4"),
        (respond(b"\x08\x04" + chunk(7, b"\xff")), "varint"),
        (
            respond(b"\x08\x01\x22" + write_varint(1 << 50) + b"abc"),
            "a field at byte 11 has 1125899906842624 bytes",
        ),
        (b"\x0a" + write_varint(1 << 62), "of which 0 are there"),
        (b"\x0a\x80", "no whole varint at byte 1"),
        (b"\x80" * 11, "no whole varint at byte 0"),
        (b"\x0b\x0b\x0b", "3 bytes are no PredictResponse"),
        (b"\x00\x00", "a field at byte 0 has the number 0"),
        (chunk(2, b"\x0a\x01\xff"), "3 bytes are no ModelSpec"),
        (chunk(1, chunk(1, b"\xff")), "is no UTF-8"),
        (chunk(1, chunk(1, b"y")), "output 'y': a tensor of dtype 0 cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_costs_no_memory(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error, little_memory():
        codec.read_response(data)
    assert "\n" not in str(error.value)


def test_a_flood_of_strings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "MAX_REPEATED", 1000)
    for flood in (respond(b"\x08\x07" + b"\x42\x00" * 1001), chunk(1, b"") * 1001):
        with pytest.raises(ValueError, match="more than 1000 strings or outputs"):
            codec.read_response(flood)
