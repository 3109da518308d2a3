"""Writing files so that each is there completely or not at all."""

import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gannet_client.errors import GannetError, UsageError


def write_file(
    path: str | Path, write: Callable[[BinaryIO], object], what: str = "image", *, mode: int = 0o666
) -> Path:
    """Writes a file and makes its parent directories.

    The file appears when it is complete: where the disk is full, there is the file of before, or none.

    Args:
        path: Where; what stands there and is no file, like /dev/stdout, is written to.
        write: Called with the file that is open for bytes.
        what: What it is called in the message of an error.
        mode: Who may read and write it, less what the umask takes away.

    Returns:
        The path.

    Raises:
        UsageError: It cannot be written.
        GannetError: What `write` raises.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, write, mode)
    except GannetError:  # some are an OSError or ValueError, too
        raise
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write the {what} {str(path)!r}: {reason}") from error
    return path


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Writes an image's file; otherwise as `write_file`."""
    return write_file(path, lambda file: file.write(data))


def _replace(path: Path, write: Callable[[BinaryIO], object], mode: int) -> None:
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            write(file)
        return
    target = path.resolve()  # a link stays one
    staged = target.with_name(f".staging-{secrets.token_hex(8)}")
    try:
        with open(staged, "xb", opener=partial(os.open, mode=mode)) as file:
            write(file)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)
