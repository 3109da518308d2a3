"""Files that appear complete or not at all."""

import io
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gannet_client.errors import GannetError

PARTIAL = ".partial-"
"""How the name of a file begins that is being written."""


class _MemoryFile(io.BytesIO):
    """A file in memory under a name that Keras takes for one of weights."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def save_weights(model: Any, path: Path) -> None:
    """Write the weights and optimizers of a Keras model.

    Raises:
        GannetError: the disk does not take them.
    """
    # Through memory: HDF5 crashes the process when its own file meets a full disk.
    memory = _MemoryFile()
    model.save_weights(memory)
    try:
        write_atomically(path, memory.getvalue())
    except OSError as error:
        raise cannot_write(path, error) from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file.

    Raises:
        OSError: the disk does not take it.
    """
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            os.fsync(file.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def delete(files: Iterable[Path]) -> None:
    """Delete files.

    Raises:
        GannetError: the disk does not let go of one.
    """
    for file in files:
        try:
            file.unlink()
        except OSError as error:
            raise cannot_write(file, error) from error


def cannot_write(path: Path, error: OSError) -> GannetError:
    """Say that the disk did not take a file of a run, and that nothing else is lost."""
    return GannetError(
        f"cannot write {path}: {error.strerror or error}; make room and give the same command again: "
        "it continues from the last checkpoint"
    )
