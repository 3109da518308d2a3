"""CIFAR-10: python batches or binary batches, loose, in their folder, or in the published archive."""

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from gannet_training.data.arrays import from_pixels
from gannet_training.data.download import Published
from gannet_training.data.errors import DataError, shown
from gannet_training.data.known import fetch, find
from gannet_training.data.plain_pickle import read_batch
from gannet_training.data.source import ImageSource

_SIDE, _CHANNELS = 32, 3
_ROW = _SIDE * _SIDE * _CHANNELS
_BATCHES = 5
_BATCH_NAME = re.compile(r"data_batch_[1-5](\.bin)?")
_MOST_BYTES = 1 << 28
_ARCHIVE = Published(
    # The binary version: nothing in it can run.
    "cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    170_052_171,
    # The md5 on https://www.cs.toronto.edu/~kriz/cifar.html.
    "md5:c32a1d4ab5d03f1284b67883e8d87530",
)
_PLACES = (
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
    _ARCHIVE.name,
    "cifar-10-python.tar.gz",
    "data_batch_1.bin",
    "data_batch_1",
)
CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip


def open_cifar10(image_size: int, root: Path | None = None) -> ImageSource:
    """Open the 50,000 training images.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.

    Raises:
        DataError: a batch is damaged or missing, or the archive cannot be downloaded.
    """
    place = find("cifar10", _PLACES, root) or fetch("cifar10", _ARCHIVE, root)
    try:
        batches = dict(_archive_batches(place) if _is_archive(place) else _folder_batches(place))
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"cannot read {place}: {error}; delete it and it is downloaded again") from error
    if len(batches) != _BATCHES:
        raise DataError(
            f"{place}: expected the files data_batch_1 to data_batch_{_BATCHES}, all with .bin or all "
            f"without, received {', '.join(map(shown, sorted(batches))) or 'none'}; put all of them there"
        )
    rows, labels = (
        np.concatenate(parts) for parts in zip(*(batches[n] for n in sorted(batches)), strict=True)
    )
    pixels = rows.reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return from_pixels(pixels, labels, CLASS_NAMES, image_size)


Batch = tuple[str, tuple[np.ndarray, np.ndarray]]


def _is_archive(place: Path) -> bool:
    return place.name.endswith(".tar.gz")


def _archive_batches(path: Path) -> Iterator[Batch]:
    """Read the batches inside of the archive; nothing is unpacked to disk."""
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            file = archive.extractfile(member) if _BATCH_NAME.fullmatch(name) else None
            if file is not None and member.size <= _MOST_BYTES:
                yield name, _read(file, name, path / name)


def _folder_batches(place: Path) -> Iterator[Batch]:
    folder = place if place.is_dir() else place.parent
    suffixes = {path.suffix for path in folder.iterdir() if _BATCH_NAME.fullmatch(path.name)}
    suffix = ".bin" if ".bin" in suffixes else ""
    for number in range(1, _BATCHES + 1):
        path = folder / f"data_batch_{number}{suffix}"
        if path.is_file():
            with path.open("rb") as file:
                yield path.name, _read(file, path.name, path)


def _read(file: IO[bytes], name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    rows, labels = _read_binary(file, path) if name.endswith(".bin") else read_batch(file, path)
    if rows.ndim != 2 or rows.shape[1] != _ROW or labels.shape != rows.shape[:1] or not len(rows):
        raise DataError(
            f"{path}: expected rows of {_ROW} bytes and as many labels, received {list(rows.shape)} and "
            f"{list(labels.shape)}; put the published file in its place"
        )
    if not 0 <= labels.min() <= labels.max() < len(CLASS_NAMES):
        raise DataError(
            f"{path}: expected labels from 0 to 9, received {labels.min()} to {labels.max()}; "
            "put the published file in its place"
        )
    return rows, labels


def _read_binary(file: IO[bytes], path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = np.frombuffer(file.read(_MOST_BYTES), np.uint8)
    if len(content) % (1 + _ROW):
        raise DataError(
            f"{path}: expected records of {1 + _ROW} bytes, received {len(content)} bytes in all; "
            "put the published file in its place"
        )
    records = content.reshape(-1, 1 + _ROW)
    return records[:, 1:], records[:, 0].astype(np.int64)
