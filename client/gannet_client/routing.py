"""The routing file: which callers are shown a new version of a model while it is rolled out.

    {"model": "digits", "stable": "stable", "canary": "canary", "percent": 5, "generation": 7}

`stable` and `canary` are labels of the server, or versions by number; `canary` may be null. `percent` of all
keys, chosen by a hash of the key and the model's name, are shown the canary; a key that is shown it at 5 is
shown it at 10 as well. `generation` counts the changes of the file. Other names are left to later releases.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gannet_client.checks import check_int64, check_text
from gannet_client.errors import UsageError
from gannet_client.operations.ref import ModelRef

_MAX_BYTES: Final = 1 << 16
_STEPS: Final = 10_000
_NAMES: Final = {"model", "stable", "canary", "percent", "generation"}

_log = logging.getLogger("gannet_client")


@dataclass(frozen=True)
class Route:
    """What a routing file says.

    Attributes:
        model: The name of the model.
        stable: The label, or the number, of the version for everybody.
        canary: That of the new version; None: there is none.
        percent: How many of a hundred keys are shown the canary.
        generation: Which state of the file this is.
    """

    model: str
    stable: str | int
    canary: str | int | None = None
    percent: float = 0.0
    generation: int = 0

    def __post_init__(self) -> None:
        _ref(self.model, self.stable)
        if self.canary is not None:
            _ref(self.model, self.canary)
        if isinstance(self.percent, bool) or not isinstance(self.percent, int | float):
            raise UsageError(f"percent must be a number; received {self.percent!r}")
        if not 0 <= self.percent <= 100:
            raise UsageError(f"percent must be from 0 to 100; received {self.percent!r}")
        check_int64("generation", self.generation)

    def refs(self, key: str | None) -> list[ModelRef]:
        """The versions to ask for a key, one after the other until one is there; without a key, stable.

        >>> [str(ref) for ref in Route("digits", 3, canary=4, percent=100).refs("anna")]
        ["model 'digits' version 4", "model 'digits' version 3"]
        >>> [str(ref) for ref in Route("digits", 3, canary=4, percent=100).refs(None)]
        ["model 'digits' version 3"]
        """
        stable = _ref(self.model, self.stable)
        if self.canary is None or key is None or not self._is_shown(key):
            return [stable]
        return [_ref(self.model, self.canary), stable]

    def _is_shown(self, key: str) -> bool:
        digest = hashlib.sha256(f"{self.model}\0{check_text('key', key)}".encode()).digest()
        return int.from_bytes(digest[:8]) % _STEPS < self.percent * (_STEPS / 100)


class Routes:
    """A routing file that is read again when it changes; safe to share between threads.

    Args:
        path: The file. One that turns bad later changes nothing: what was good last stays, and the log tells.

    Raises:
        UsageError: The file is missing or malformed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()
        self._route = read_route(path)

    def current(self) -> Route:
        """What the file says now."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self._read_again()
        return self._route

    def _read_again(self) -> None:
        try:
            self._route = read_route(self._path)
        except UsageError as error:
            _log.warning("%s; generation %d stays in force", error, self._route.generation)

    def _stamp(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino


def read_route(path: Path) -> Route:
    """Reads a routing file.

    Raises:
        UsageError: It cannot be read, or is malformed; the message says where.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise UsageError(f"it has more than {_MAX_BYTES} bytes")
        return _parse(json.loads(text))
    except OSError as error:
        raise UsageError(f"cannot read the routing file {str(path)!r}: {error.strerror}") from None
    except (UsageError, ValueError, RecursionError) as error:
        raise UsageError(f"the routing file {str(path)!r} is malformed: {error}") from None


def _parse(document: Any) -> Route:
    if not isinstance(document, dict) or not {"model", "stable"} <= document.keys():
        raise UsageError(
            'expected {"model": NAME, "stable": LABEL, "canary": LABEL, "percent": P, "generation": N}'
        )
    return Route(**{name: value for name, value in document.items() if name in _NAMES})


def _ref(model: str, choice: str | int) -> ModelRef:
    if isinstance(choice, str) and choice:
        return ModelRef(model, label=choice)
    return ModelRef(model, version=check_int64("a version", choice))  # type: ignore[arg-type]
