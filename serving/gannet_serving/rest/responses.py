"""The bodies of responses, with the digits that TensorFlow Serving writes."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gannet_client.codec import Array
from gannet_serving.rest.requests import Form
from gannet_serving.status import StatusError, invalid

_BYTES_SUFFIX = "_bytes"
_OTHER_NAMES = {"float16": "half"}
_DIGITS = {"float32": 9, "float64": 17}
"""How many make every number of the dtype survive."""


def write_tensors(tensors: Mapping[str, Array], form: Form) -> str:
    """The body of a predict response.

    A single output stands for itself, several stand under their names.

    Args:
        tensors: The outputs by alias; strings whose alias ends in `_bytes` go as base64.
        form: That of the request: one entry per row, or one per output.

    Raises:
        StatusError: An output has a dtype that JSON is not given, or not the rows of the others.
    """
    if form is Form.COLUMNS:
        columns = {
            alias: _nested(_texts(alias, array), array.shape) for alias, array in sorted(tensors.items())
        }
        value = _entry(columns)
    else:
        value = f"[{', '.join(map(_entry, _rows(tensors)))}\n    ]"
    return f'{{\n    "{form.value}": {value}\n}}'


def write_results(results: Iterable[str]) -> str:
    """The body of a classify or regress response, from one JSON text per example."""
    return f'{{\n    "results": [{", ".join(results)}\n    ]\n}}'


def write_error(message: str) -> str:
    """The body of a refusal."""
    return f'{{\n    "error": {_string(message)}\n}}'


def write_class(label: str, score: float) -> str:
    """A label and its score, a float32.

    >>> write_class("cat", 0.5)
    '["cat", 0.5]'
    """
    return f"[{_string(label)}, {write_floats([score])[0]}]"


def write_floats(values: Sequence[float] | Array, dtype: str = "float32") -> list[str]:
    """Numbers of a floating dtype: six digits where those suffice, else as many as keep the value.

    Args:
        values: The numbers.
        dtype: `float32` or `float64`.

    >>> write_floats([1.0, 0.2, 1/3, 3e-7, float("nan"), float("-inf")])
    ['1.0', '0.2', '0.333333343', '3e-07', 'NaN', '-Infinity']
    """
    exact = np.asarray(values, dtype)
    short = [f"{value:g}" for value in exact.tolist()]
    survives = (np.array(list(map(float, short)), dtype) == exact).tolist()
    precision = _DIGITS[dtype]
    return [
        _decimal(text if same else f"{value:.{precision}g}")
        for text, same, value in zip(short, survives, exact.tolist(), strict=True)
    ]


def _decimal(text: str) -> str:
    """`1` becomes `1.0`, so that a reader takes it for a decimal."""
    if "." in text or "e" in text:
        return text
    return _SPECIAL.get(text) or f"{text}.0"


_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _rows(tensors: Mapping[str, Array]) -> list[dict[str, str]]:
    size = _batch_size(tensors)
    columns = {}
    for alias, array in sorted(tensors.items()):
        texts, width = _texts(alias, array), array[:1].size if size else 0
        columns[alias] = [
            _nested(texts[row * width : (row + 1) * width], array.shape[1:]) for row in range(size)
        ]
    return [{alias: texts[row] for alias, texts in columns.items()} for row in range(size)]


def _batch_size(tensors: Mapping[str, Array]) -> int:
    size = -1
    for alias, array in sorted(tensors.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        if size not in (-1, len(array)):
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    return size


def _entry(texts: Mapping[str, str]) -> str:
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "{" + ", ".join(f"{_string(alias)}: {text}" for alias, text in texts.items()) + "}"


def _nested(texts: Sequence[str], shape: Sequence[int]) -> str:
    if not shape:
        return texts[0]
    if len(shape) == 1:
        return f"[{', '.join(texts)}]"
    width = len(texts) // shape[0] if shape[0] else 0
    parts = (_nested(texts[row * width : (row + 1) * width], shape[1:]) for row in range(shape[0]))
    return f"[{', '.join(parts)}]"


def _texts(alias: str, array: Array) -> list[str]:
    """One JSON text per element."""
    flat, name = array.ravel(), array.dtype.name
    if array.dtype == object:
        encode = _b64 if alias.endswith(_BYTES_SUFFIX) else _bytes_string
        return [encode(value) for value in flat.tolist()]
    if name in _DIGITS:
        return write_floats(flat, name)
    if name == "bool":
        return ["true" if value else "false" for value in flat.tolist()]
    if array.dtype.kind in "iu" and name != "uint16":
        return list(map(str, flat.tolist()))
    raise _unwritable(name)


def _unwritable(name: str) -> StatusError:
    return invalid(f"Failed to write JSON value for tensor type: {_OTHER_NAMES.get(name, name)}")


def _bytes_string(value: Any) -> str:
    return _string(value.decode(errors="surrogateescape"))


def _b64(value: bytes) -> str:
    return f'{{"b64": "{base64.b64encode(value).decode()}"}}'


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
