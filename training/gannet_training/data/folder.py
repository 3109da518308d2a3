"""`folder:PATH`: the PNG and JPEG files below a folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gannet_client.errors import UsageError
from gannet_training.data.encoded import Candidate, candidate_classes, open_encoded
from gannet_training.data.errors import DataError, shown
from gannet_training.data.index import Place, Stamp
from gannet_training.data.source import ImageSource

_SUFFIXES = (".png", ".jpg", ".jpeg")


def check_folder(path: str) -> None:
    """Refuse what is no folder.

    Raises:
        UsageError: there is no folder at the path.
    """
    if not os.path.isdir(path):
        raise UsageError(
            f"expected a folder of PNG or JPEG images, received '{shown(path)}'; no folder is there"
        )


def open_folder(path: str, image_size: int, channels: int, index: Path | None) -> ImageSource:
    """Open the images below a folder, in the order of their paths.

    Every PNG and JPEG file counts, at any depth; links are followed, every folder is entered once; names that
    start with a dot are left out. If no image stands in the folder itself and at least two of its subfolders
    hold some, the subfolders are the classes.

    Args:
        path: of the folder.
        image_size: side to which the central squares are resized.
        channels: 1 (grey) or 3 (RGB).
        index: where to keep the index of good files.

    Raises:
        UsageError: there is no such folder, or no image in it.
        DataError: a folder cannot be read, or see :func:`~gannet_training.data.encoded.open_encoded`.
    """
    check_folder(path)
    root = os.path.abspath(path)
    return open_encoded(f"folder:{root}", _candidates(root), index, image_size, channels)


def folder_classes(path: str) -> tuple[str, ...]:
    """Name the classes of a folder by its entries alone; empty if it has none.

    Raises:
        UsageError: there is no folder at the path.
        DataError: a folder cannot be read.
    """
    check_folder(path)
    return candidate_classes(_candidates(os.path.abspath(path)))


def _candidates(root: str) -> Iterator[Candidate]:
    classes: dict[str, int] = {}
    for path in _images(root):
        class_name, separator, _ = os.path.relpath(path, root).partition(os.sep)
        label = classes.setdefault(class_name, len(classes)) if separator else -1
        yield _candidate(path, label, class_name)


def _candidate(path: str, label: int, class_name: str) -> Candidate:
    try:
        status = os.stat(path)
    except OSError as error:
        return Candidate(Place(path, 0, 0), None, damage=error.strerror or str(error))
    stamp = Stamp(status.st_size, status.st_mtime_ns)
    damage = "" if stat.S_ISREG(status.st_mode) else "it is not a regular file"
    return Candidate(Place(path, 0, stamp.size), stamp, label, class_name, damage)


def _images(root: str) -> Iterator[str]:
    entered: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        path = waiting.pop()
        if not os.path.isdir(path):
            yield path
            continue
        status = os.stat(path)
        if (status.st_dev, status.st_ino) not in entered:
            entered.add((status.st_dev, status.st_ino))
            waiting += reversed(_entries(path))


def _entries(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(
            f"cannot list the folder {shown(folder)}: {error.strerror}; "
            "give yourself permission or take it away"
        ) from error
    paths = [os.path.join(folder, name) for name in names if not name.startswith(".")]
    return [path for path in paths if path.lower().endswith(_SUFFIXES) or os.path.isdir(path)]
