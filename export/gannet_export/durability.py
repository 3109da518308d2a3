"""What is on the disk when it says so."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def sync_tree(directory: Path) -> None:
    """Wait until a directory and all files below it are on the disk.

    Raises:
        OSError: the disk does not confirm it.
    """
    for path in [*directory.rglob("*"), directory]:
        if path.is_dir():
            sync_directory(path)
        else:
            with path.open("rb") as file:
                _flush(file.fileno())


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on the disk, not what they stand for.

    Raises:
        OSError: the disk does not confirm it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def directory_for(directory: Path) -> Iterator[None]:
    """Make a directory and its parents; those made here that are empty at the end go again.

    Raises:
        OSError: one cannot be made.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            sync_directory(path.parent)
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def _flush(descriptor: int) -> None:
    """Have the drive itself write: on macOS `fsync` leaves the data in the drive's memory."""
    through_the_drive = getattr(fcntl, "F_FULLFSYNC", None)
    if through_the_drive is not None:
        try:
            fcntl.fcntl(descriptor, through_the_drive)
            return
        except OSError as error:  # network file systems know `fsync` alone
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOTTY):
                raise
    os.fsync(descriptor)
