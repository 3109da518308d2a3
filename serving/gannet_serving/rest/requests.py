"""The bodies of predict, classify and regress."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gannet_client.codec import Array
from gannet_serving.rest.document import kind_of, misformed, parse, shown, to_bytes
from gannet_serving.rest.values import Shape, TensorReader, decode_b64, is_b64, lossless
from gannet_serving.status import StatusError, invalid

Inputs = Mapping[str, int]
"""The inputs of a signature: TensorFlow's dtype number by alias."""
Feature = tuple[str, list[Any]]
"""`bytes_list`, `float_list`, `int64_list` or nothing at all, and the values."""


class Form(Enum):
    """How a predict request holds its tensors, and the response those it gives back."""

    ROWS = "predictions"
    COLUMNS = "outputs"


@dataclass(frozen=True)
class ExampleRequest:
    """The body of classify or regress: features by name for each example, and for the context if any."""

    signature_name: str
    context: dict[str, Feature] | None
    examples: list[dict[str, Feature]]


@dataclass(frozen=True)
class PredictBody:
    """The body of predict: `{"instances": [...]}` or `{"inputs": ...}`, and `"signature_name"` if need be."""

    document: dict[str, Any]
    signature_name: str

    def tensors(self, inputs: Inputs) -> tuple[Form, dict[str, Array]]:
        """The form, and an array for each of the signature's inputs.

        Raises:
            StatusError: The body does not fit the inputs.
        """
        document = self.document
        if not inputs:
            raise invalid(f"Failed to get input map for signature: {self.signature_name or 'DEFAULT'}")
        if "instances" in document and "inputs" in document:
            raise misformed(
                document,
                "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
            )
        if "instances" in document:
            return Form.ROWS, _read_rows(_instances(document), inputs)
        if "inputs" in document:
            return Form.COLUMNS, _read_columns(document["inputs"], inputs)
        raise invalid("Missing 'inputs' or 'instances' key")


def read_predict(body: bytes) -> PredictBody:
    """Reads the body of predict as far as that goes without the signature.

    Raises:
        StatusError: The body is no such JSON.
    """
    document = parse(body)
    return PredictBody(document, _signature_name(document))


def read_examples(body: bytes) -> ExampleRequest:
    """Reads the body of classify or regress: `{"examples": [{...}, ...], "context": {...}}`.

    Raises:
        StatusError: The body is no such JSON.
    """
    document = parse(body)
    key = _signature_name(document)
    context = _example(document["context"]) if "context" in document else None
    if "examples" not in document:
        raise misformed(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise misformed(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise misformed(document, "'examples' value is an empty array")
    return ExampleRequest(key, context, [_example(example) for example in examples])


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise misformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def _instances(document: dict[str, Any]) -> list[Any]:
    instances = document["instances"]
    if not isinstance(instances, list):
        raise misformed(document, "Excepting 'instances' to be an list/array")
    if not instances:
        raise misformed(document, "No values in 'instances' array")
    return instances


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)


def _read_rows(instances: list[Any], inputs: Inputs) -> dict[str, Array]:
    if len(inputs) > 1 and not isinstance(instances[0], dict):
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required "
            "as per tensorinfo_map"
        )
    columns = {alias: _Column(dtype) for alias, dtype in inputs.items()}
    named = _is_row(instances[0])
    for index, row in enumerate(instances):
        if named != _is_row(row):
            wanted, received = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {wanted} but got {received} at item {index} of input list")
        if named:
            _add_row(index, row, columns)
        else:
            _add_value(f"{index} of", row, next(iter(columns.values())))
    return {alias: column.array(len(instances)) for alias, column in columns.items()}


def _add_row(index: int, row: dict[str, Any], columns: "Mapping[str, _Column]") -> None:
    for name, value in row.items():
        if name not in columns:
            raise invalid(
                f"Failed to process element: {index} key: {name} of 'instances' list. Error: "
                f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
            )
        _add_value(f"{index} key: {name} of", value, columns[name])
    if row.keys() != columns.keys():
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. JSON object: {shown(row)} "
            f"keys must be equal to: {','.join(sorted(columns))}"
        )


def _add_value(place: str, value: Any, column: "_Column") -> None:
    try:
        column.add(value)
    except StatusError as error:
        raise invalid(f"Failed to process element: {place} 'instances' list. Error: {error}") from None


class _Column:
    """One input, of which every row must have the shape of the first."""

    def __init__(self, dtype: int) -> None:
        self._reader = TensorReader(dtype)
        self._first: tuple[Shape, int] | None = None

    def add(self, value: Any) -> None:
        added = shape, size = self._reader.add(value)
        self._first = self._first or added
        if size != self._first[1]:
            raise invalid(f"Expecting tensor size: {self._first[1]} but got: {size}")
        if shape != self._first[0]:
            raise invalid(f"Expecting shape {_text(self._first[0])} but got: {_text(shape)}")

    def array(self, rows: int) -> Array:
        return self._reader.array((rows, *self._first[0]) if self._first else (rows,))


def _text(shape: Shape) -> str:
    return f"[{','.join(map(str, shape))}]"


def _read_columns(value: Any, inputs: Inputs) -> dict[str, Array]:
    if not _is_row(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required "
                "as per tensorinfo_map"
            )
        value = {next(iter(inputs)): value}
    arrays = {}
    for alias, dtype in inputs.items():
        if alias not in value:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        reader = TensorReader(dtype)
        shape, _ = reader.add(value[alias])
        arrays[alias] = reader.array(shape)
    return arrays


def _example(value: Any) -> dict[str, Feature]:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {kind_of(value)}")
    return {
        name: _feature(name, content if isinstance(content, list) else [content])
        for name, content in value.items()
    }


def _feature(name: str, values: list[Any]) -> Feature:
    kind, converted = "", []
    for value in values:
        own, item = _feature_value(name, value)
        if kind not in ("", own):
            raise invalid(
                f"Unexpected element type in feature: {name} expecting type: {kind.removesuffix('_list')}"
            )
        kind = own
        converted.append(item)
    return kind, converted


def _feature_value(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "int64_list", int(value)
    if isinstance(value, str):
        return "bytes_list", to_bytes(value)
    if is_b64(value):
        return "bytes_list", decode_b64(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return "int64_list", value
    if isinstance(value, int) and value < 2**64:
        raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
    if isinstance(value, int | float):
        return "float_list", lossless(value, "float32", "float")
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {kind_of(value)}")
