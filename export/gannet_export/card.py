"""The model card: what a version is and where it came from, as JSON."""

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from gannet_client import contract
from gannet_export.source import Source

_LIBRARIES = ("gannet-toolkit", "keras", "numpy", "tensorflow")


def model_card(source: Source, *, family: str, training: dict[str, Any]) -> dict[str, Any]:
    """Describe a generator.

    Args:
        source: the generator.
        family: the kind of GAN, for example "dcgan".
        training: data, steps, seed and settings it was trained with; JSON values.

    Returns:
        JSON values under the keys of format 1; `gate` and `files` are added before publication.
    """
    card: dict[str, Any] = {
        "format": contract.CARD_FORMAT,
        "family": family,
        "latent_dim": source.latent_dim,
        "image_shape": source.image_shape,
        "classes": None,
        "codes": None,
        "conditions": [condition.name for condition in source.conditions],
        "training": training,
        "metrics": {},
        "weights_sha256": source.weights_sha256,
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
    }
    for condition in source.conditions:
        card |= condition.card()
    return card


def write_card(directory: Path, card: dict[str, Any]) -> None:
    """Write the card into a version directory, with the sha256 of every other file in it."""
    path = directory / contract.CARD_FILE
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file != path)
    sums = {file.relative_to(directory).as_posix(): _sha256(file) for file in files}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**card, "files": sums}, indent=2) + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
