"""A models directory as servers read it: `<models>/<name>/<version>/`, and the labels beside the versions."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gannet_client import contract
from gannet_client.errors import ModelError, UsageError
from gannet_export.regular import regular

LARGEST_VERSION = 2**63 - 1
"""What servers read as a version: an int64."""

_LONGEST_FILE_NAME = 255
_LARGEST_FILE = 1 << 24
"""In bytes, of a card or of labels: either is read whole, whoever wrote it."""


@dataclass(frozen=True, order=True)
class Version:
    """A version directory; versions are in the order of their numbers.

    Attributes:
        number: what servers call it.
        path: of the directory.
        name: of the model.
    """

    number: int
    path: Path
    name: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.name}/{self.number}"


def version_number(name: str) -> int | None:
    """Read the name of a directory as servers do.

    Example:
        >>> version_number("3"), version_number("007"), version_number(".staging-5"), version_number("1.0")
        (3, 7, None, None)
    """
    if not (name.isascii() and name.isdecimal() and len(name) <= _LONGEST_FILE_NAME):
        return None
    return number if (number := int(name)) <= LARGEST_VERSION else None


def require_name(name: str) -> str:
    """Refuse what is not the name of one directory.

    Raises:
        UsageError: it is empty, begins with a dot, or holds a slash or what cannot be printed.
    """
    if not name or name.startswith(".") or "/" in name or not name.isprintable():
        raise UsageError(f"expected a model name without '/' that does not begin with '.', received {name!r}")
    return name


def model_names(models: Path) -> list[str]:
    """Name every model: each subdirectory that this user may read, versions or none, in order.

    Raises:
        UsageError: `models` is not a directory, or cannot be read.
    """
    if not models.is_dir():
        raise UsageError(f"{models} is not a directory; expected one that holds models, like {models}/NAME/1")
    try:
        entries = os.listdir(models)
    except OSError as error:
        raise UsageError(f"cannot read the models directory {models}: {error.strerror}") from error
    return sorted(entry for entry in entries if not entry.startswith(".") and _can_be_listed(models / entry))


def require_model(models: Path, name: str) -> str:
    """Refuse what is not the name of a model there.

    Raises:
        ModelError: there is no such model.
        UsageError: the name is none, or `models` cannot be read.
    """
    known = model_names(models)
    if require_name(name) not in known:
        raise ModelError(f"no model {name!r} in {models}; it holds {', '.join(map(repr, known)) or 'none'}")
    return name


def versions(models: Path, name: str) -> list[Version]:
    """List the versions of a model, lowest number first; none if there is no such model.

    Raises:
        UsageError: its directory cannot be read.
    """
    try:
        entries = [entry for entry in (models / name).iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {models / name}: {error.strerror}") from error
    numbered = ((version_number(entry.name), entry) for entry in entries)
    return sorted(Version(number, path, name) for number, path in numbered if number is not None)


def select(models: Path, reference: str | None) -> list[Version]:
    """List what `NAME/VERSION`, `NAME` or None stands for: one version, all of a model, or all there are.

    Raises:
        ModelError: there is no such model or version.
        UsageError: the reference has another form, or a directory cannot be read.
    """
    if reference is None:
        return [version for name in model_names(models) for version in versions(models, name)]
    name, slash, wanted = reference.partition("/")
    number = version_number(wanted)
    if slash and number is None:
        raise UsageError(f"expected NAME or NAME/VERSION with a number, received {reference!r}")
    there = versions(models, require_model(models, name))
    if not there:
        raise ModelError(f"model {name!r} in {models} has no version")
    chosen = [version for version in there if not slash or version.number == number]
    if not chosen:
        numbers = ", ".join(str(version.number) for version in there)
        raise ModelError(f"model {name!r} in {models} has no version {number}; it has {numbers}")
    return chosen


def read_labels(models: Path, name: str) -> dict[str, int]:
    """Read the labels in force, the version of each; none where there is no such file.

    Raises:
        ModelError: the file cannot be read, or holds something else.
    """
    try:
        labels = _read_json(models / name / contract.LABELS_FILE)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{contract.LABELS_FILE} of {name!r} cannot be read: {_reason(error)}") from error
    if not isinstance(labels, dict) or not all(type(number) is int for number in labels.values()):
        raise ModelError(
            f'{contract.LABELS_FILE} of {name!r} does not map labels to versions, {{"stable": 3}}'
        )
    return labels


def read_card(directory: Path) -> dict[str, Any]:
    """Read the card of a version directory.

    Raises:
        ModelError: there is none, it cannot be read, or its format is unknown to this release.
    """
    path = directory / contract.CARD_FILE
    try:
        card = _read_json(path)
    except FileNotFoundError:
        raise ModelError(f"no model card ({contract.CARD_FILE})") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"the model card cannot be read: {_reason(error)}") from error
    found = card.get("format") if isinstance(card, dict) else type(card).__name__
    if found != contract.CARD_FORMAT:
        raise ModelError(
            f"the model card has format {found!r:.40}; this release reads {contract.CARD_FORMAT}: "
            "install the release of gannet-toolkit that exported the model"
        )
    return dict(card)


def _can_be_listed(directory: Path) -> bool:
    try:
        os.listdir(directory)
    except OSError:
        return False
    return True


def _read_json(path: Path) -> Any:
    with open(path, "rb", opener=regular) as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ValueError(f"it is larger than {_LARGEST_FILE} bytes")
    return json.loads(content)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
