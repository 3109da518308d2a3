"""The paths of the REST API."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from gannet_serving.status import invalid

PREFIX = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
"""Whatever lies below is answered as the API does, the rest as a web server."""
_WHICH = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_WHICH}:(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_WHICH}(?:/(?P<verb>metadata))?", re.IGNORECASE)
_HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class Target:
    """What a request is about.

    Attributes:
        verb: `predict`, `classify`, `regress`, `metadata` or `status`.
        name: The model.
        version: The version if one is given.
        label: Its label if one is given instead.
    """

    verb: str
    name: str
    version: int | None = None
    label: str | None = None


def parse_path(method: str, path: str) -> Target:
    """Reads a path, still percent-encoded.

    Raises:
        StatusError: There is no such path, or none for this HTTP method.

    >>> parse_path("POST", "/v1/models/digits/versions/3:predict")
    Target(verb='predict', name='digits', version=3, label=None)
    """
    match = {"POST": _POST, "GET": _GET}.get(method, _NOTHING).fullmatch(path)
    if match is None or match["verb"] not in (None, "classify", "regress", "predict", "metadata"):
        raise invalid(f"Malformed request: {method} {path}")
    if not match["name"]:
        raise invalid("Missing model name in request.")
    return Target(
        match["verb"] or "status",
        unquote(match["name"]),
        _number(match["version"]),
        unquote(match["label"]) if match["label"] else None,
    )


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if len(text) > 20 or int(text) > _HIGHEST:
        raise invalid(f"Failed to convert version: {text} to numeric.")
    return int(text)


_NOTHING = re.compile(r"(?!)")
