"""JSON as TensorFlow Serving's parser takes it, and its words for what is none."""

import json
import re
from typing import Any

from gannet_serving.status import StatusError, invalid

_MAX_SHOWN = 1024
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_KINDS = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
_ENDS = {
    "[": "Missing a comma or ] after an array element.",
    "{": "Missing a comma or } after an object member.",
}
_MESSAGES = {
    "Extra data": "The document root must not be followed by other values.",
    "Expecting property name": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Expecting ':'": "Missing a colon after a name of object member.",
    "Unterminated string": "Missing a closing quotation mark in string.",
    "Invalid control character": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\u": "Incorrect hex digit after \\u escape in string.",
}


def parse(body: bytes) -> dict[str, Any]:
    """The object that the body of a request holds; NaN, Infinity and -Infinity are numbers.

    Raises:
        StatusError: It is no JSON or no object.

    >>> parse(b'{"instances": [1, NaN]}')
    {'instances': [1, nan]}
    >>> parse(b'{"instances": [1')
    Traceback (most recent call last):
    gannet_serving.status.StatusError: INVALID_ARGUMENT: JSON Parse error: Missing a comma or ] after an \
array element. at offset: 16
    """
    text = body.decode(errors="surrogateescape")
    if not text.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode(errors="surrogateescape"))
        raise invalid(f"JSON Parse error: {_reason(error)} at offset: {offset}") from None
    except RecursionError:
        raise too_deep() from None
    except ValueError:  # an integer of thousands of digits
        raise invalid("JSON Parse error: Number too big to be stored in double.") from None
    if not isinstance(document, dict):
        raise misformed(document, "Is not object")
    return document


def too_deep() -> StatusError:
    """INVALID_ARGUMENT: a document that would be the end of TensorFlow Serving."""
    return invalid("JSON Parse error: lists and objects are nested too deeply")


def misformed(value: Any, problem: str) -> StatusError:
    """INVALID_ARGUMENT, showing the value."""
    return invalid(f"JSON Value: {shown(value)} {problem}")


def shown(value: Any) -> str:
    """A value in a message: indented JSON, of which a long one is cut.

    Raises:
        StatusError: It is nested so deeply that it cannot be shown.

    >>> print(shown([1.0]))
    [
        1.0
    ]
    """
    try:
        text = json.dumps(value, indent=4, ensure_ascii=False)
    except RecursionError:
        raise too_deep() from None
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...TRUNCATED"


def kind_of(value: Any) -> str:
    """The JSON kind of a value, as messages name it.

    >>> kind_of(True), kind_of(1), kind_of([])
    ('True', 'Number', 'Array')
    """
    return str(value) if isinstance(value, bool) else _KINDS[type(value)]


def to_bytes(text: str) -> bytes:
    """A string of a document as the bytes that were sent.

    Raises:
        StatusError: Half of a surrogate pair stands alone in it.
    """
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None


def _reason(error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Expecting ','"):
        return _ENDS[_innermost(error.doc[: error.pos])]
    return next((text for start, text in _MESSAGES.items() if error.msg.startswith(start)), "Invalid value.")


def _innermost(text: str) -> str:
    """The bracket that is open at the end of `text`."""
    opened = []
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        if bracket in "[{":
            opened.append(bracket)
        else:
            opened.pop()
    return opened[-1]
