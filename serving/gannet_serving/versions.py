"""Which versions of a model lie on disk, by TensorFlow Serving's rules for names."""

import os
import re
from pathlib import Path
from typing import NamedTuple

# What its number parser accepts: an optional sign, leading zeros, white space around.
_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_INT64 = range(-(2**63), 2**63)

Fingerprint = frozenset[tuple[str, int, int]]


class Version(NamedTuple):
    """One version of a model on disk."""

    model: str
    number: int
    path: Path


def parse_version(name: str) -> int | None:
    """The version that a directory called `name` stands for, or None.

    >>> parse_version("3"), parse_version("00000123"), parse_version(".staging-5"), parse_version("1.0")
    (3, 123, None, None)
    """
    if not _NUMBER.fullmatch(name):
        return None
    number = int(name)
    return number if number in _INT64 else None


def find_versions(base_path: Path) -> dict[int, Path]:
    """Every version below `base_path`: its number and its path.

    Neither the kind nor the content of what bears the name is looked at: what cannot be loaded fails to load
    and is reported. Of two spellings of a number (`1`, `001`) the last in lexicographic order counts.

    Raises:
        OSError: `base_path` is missing or cannot be read.
    """
    numbered = ((parse_version(name), name) for name in sorted(os.listdir(base_path)))
    return {number: base_path / name for number, name in numbered if number is not None}


def find_models(directory: Path) -> dict[str, Path]:
    """Every model in `directory`: each subdirectory that has versions, by its name.

    Raises:
        OSError: `directory` is missing or cannot be read.
    """
    return {entry.name: entry for entry in directory.iterdir() if _has_versions(entry)}


def fingerprint(path: Path) -> Fingerprint:
    """Something that differs once a file at or below `path` was added, removed or written.

    Files that vanish or cannot be looked at meanwhile are left out.
    """
    return frozenset(
        (str(file), status.st_size, status.st_mtime_ns)
        for file in (path, *path.rglob("*"))
        if (status := _status(file)) is not None
    )


def _has_versions(path: Path) -> bool:
    try:
        return bool(find_versions(path))
    except OSError:
        return False


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
