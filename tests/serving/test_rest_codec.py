"""The JSON codec by its invariants; single answers stand in `tests/conformance/rest.toml`."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gannet_serving.rest.document import parse
from gannet_serving.rest.paths import parse_path
from gannet_serving.rest.requests import Form, read_examples, read_predict
from gannet_serving.rest.responses import write_error, write_floats, write_tensors
from gannet_serving.status import StatusError

NUMBERS = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "int64": 9,
    "bool": 10,
    "uint32": 22,
    "uint64": 23,
}
STRING = 7
FORMS = {Form.ROWS: ("predictions", "instances"), Form.COLUMNS: ("outputs", "inputs")}
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
shapes = npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
arrays = st.sampled_from(sorted(NUMBERS)).flatmap(lambda dtype: npst.arrays(dtype, shapes))
strings = npst.arrays(object, shapes, elements=st.binary(max_size=20) | st.text(max_size=5).map(str.encode))


def there_and_back(array: np.ndarray, alias: str, dtype: int, form: Form) -> np.ndarray:
    """What is read when a response is sent back as a request."""
    answered, asked = FORMS[form]
    body = write_tensors({alias: array}, form).replace(f'"{answered}"', f'"{asked}"', 1)
    read_form, tensors = read_predict(body.encode(errors="surrogateescape")).tensors({alias: dtype})
    assert read_form is form
    return tensors[alias]


@given(arrays, st.sampled_from(Form))
def test_numbers_survive(array: np.ndarray, form: Form) -> None:
    read = there_and_back(array, "x", NUMBERS[array.dtype.name], form)
    np.testing.assert_array_equal(read, array, strict=True)


@given(strings, st.sampled_from(["x", "x_bytes"]), st.sampled_from(Form))
def test_bytes_survive(array: np.ndarray, alias: str, form: Form) -> None:
    np.testing.assert_array_equal(there_and_back(array, alias, STRING, form), array, strict=True)


@given(st.floats(width=32))
def test_a_float_has_as_many_digits_as_it_needs(value: float) -> None:
    text = write_floats([value])[0]
    np.testing.assert_array_equal(np.float32(json.loads(text)), np.float32(value))
    assert isinstance(json.loads(text), float)
    six = f"{value:g}"
    assert np.isinf(value) or np.float32(six) != np.float32(value) or text in (six, f"{six}.0")


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=9)
)
def test_any_value_is_read_or_refused(value: object) -> None:
    for dtype in (*NUMBERS.values(), STRING, 19):
        for key in ("instances", "inputs"):
            try:
                _, tensors = read_predict(json.dumps({key: value}).encode()).tensors({"x": dtype})
            except StatusError:
                continue
            assert tensors["x"].size >= 0


@given(st.binary(max_size=60))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for read in (read_predict, read_examples):
        try:
            read(body)
        except StatusError as error:
            assert error.code.name == "INVALID_ARGUMENT"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_message_is_json(message: str) -> None:
    assert json.loads(write_error(message)) == {"error": message}


@pytest.mark.parametrize("depth", [65, 600, 200_000])
@pytest.mark.parametrize("body", ['{"instances": [', '{"inputs": ', '{"signature_name": ', '{"examples": '])
def test_deep_nesting_is_refused(body: str, depth: int) -> None:
    nested = f"{body}{'[' * depth}1{']' * depth}{']' * body.count('[')}}}".encode()
    for read in (lambda: read_predict(nested).tensors({"x": 1}), lambda: read_examples(nested)):
        with pytest.raises(StatusError) as caught:
            read()
        assert len(caught.value.message) < 1500


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b" \n", "The document is empty"),
        (b'{"a": "x', "Missing a closing quotation mark in string. at offset: 6"),
        (b'{"a": "\\x"}', "Invalid escape character in string. at offset: 7"),
        (b'{"a": "\\u12"}', "Incorrect hex digit after \\u escape in string. at offset: 8"),
        (b'{"a": "\n"}', "Invalid encoding in string. at offset: 7"),
        ('{"é": [}'.encode(), "Invalid value. at offset: 8"),
        (
            b'{"a": {"b": [{"]": 1}, 2], "c": 3 4}}',
            "Missing a comma or } after an object member. at offset: 34",
        ),
        (b'{"a": ' + b"1" * 5000 + b"}", "Number too big to be stored in double."),
    ],
)
def test_what_is_no_json_is_told(body: bytes, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        parse(body)
    assert caught.value.message == f"JSON Parse error: {message}"


def test_a_long_value_is_cut_in_a_message() -> None:
    with pytest.raises(StatusError) as caught:
        read_predict(json.dumps({"instances": {"x": list(range(10_000))}}).encode()).tensors({"x": 1})
    assert len(caught.value.message) < 1200
    assert caught.value.message.endswith("...TRUNCATED Excepting 'instances' to be an list/array")


def test_rows_that_are_nested_deeply_enough_without_their_list() -> None:
    body = f'{{"instances": [{"[" * 64}1{"]" * 64}]}}'.encode()
    with pytest.raises(StatusError, match="nested too deeply"):
        read_predict(body).tensors({"x": 1})


def test_a_number_that_no_float_can_be() -> None:
    body = f'{{"inputs": [1{"0" * 400}]}}'.encode()
    with pytest.raises(StatusError, match="to float without loss of precision"):
        read_predict(body).tensors({"x": 1})


@pytest.mark.parametrize("version", ["9" * 19, "9" * 5000])
def test_a_version_that_no_model_can_have(version: str) -> None:
    with pytest.raises(StatusError, match="Failed to convert version: 99"):
        parse_path("GET", f"/v1/models/a/versions/{version}")
