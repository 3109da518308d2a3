"""What a version says of itself, in a row."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gannet_client import contract
from gannet_client.errors import ModelError
from gannet_export.repository import Version, model_names, read_card, read_labels, versions


@dataclass(frozen=True)
class Listed:
    """A version beside the others; what its card does not tell is None.

    Attributes:
        name: of the model.
        version: its number.
        labels: those in force for it.
        family: the kind of GAN.
        image_shape: height, width, channels.
        steps: of training.
        precision: of the convolutions.
        bytes: size of all files.
        created: when the card was written, ISO 8601 in UTC; None if it is not there any more.
        trouble: why the card or the labels cannot be read.
    """

    name: str
    version: int
    labels: list[str]
    family: Any
    image_shape: Any
    steps: Any
    precision: Any
    bytes: int
    created: str | None
    trouble: str | None


def listed(models: Path) -> Iterator[Listed]:
    """Describe every version of every model, whatever state it is in.

    Raises:
        UsageError: `models` is not a directory, or cannot be read.
    """
    for name in model_names(models):
        labels, trouble = _labels(models, name)
        for version in versions(models, name):
            yield _row(version, labels, trouble)


def size(directory: Path) -> int:
    """Sum the bytes of all files below a directory, links as what they are."""
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size * (path.is_symlink() or path.is_file())
    return total


def labels_of(version: Version, labels: dict[str, int]) -> list[str]:
    """Choose the labels that stand for a version."""
    return sorted(label for label, number in labels.items() if number == version.number)


def _row(version: Version, labels: dict[str, int], trouble: list[str]) -> Listed:
    try:
        card = read_card(version.path)
    except ModelError as error:
        card, trouble = {}, [*trouble, str(error)]
    return Listed(
        name=version.name,
        version=version.number,
        labels=labels_of(version, labels),
        family=card.get("family"),
        image_shape=card.get("image_shape"),
        steps=_within(card, "training", "steps"),
        precision=_within(card, "graph", "precision"),
        bytes=size(version.path),
        created=_created(version.path),
        trouble="; ".join(trouble) or None,
    )


def _labels(models: Path, name: str) -> tuple[dict[str, int], list[str]]:
    try:
        return read_labels(models, name), []
    except ModelError as error:
        return {}, [str(error)]


def _within(card: dict[str, Any], part: str, key: str) -> Any:
    found = card.get(part)
    return found.get(key) if isinstance(found, dict) else None


def _created(directory: Path) -> str | None:
    card = directory / contract.CARD_FILE
    with contextlib.suppress(OSError):
        seconds = (card if card.is_file() else directory).stat().st_mtime
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    return None
