"""MNIST and the sets in its format: IDX files, or `mnist.npz`."""

import gzip
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from gannet_training.data.arrays import from_pixels
from gannet_training.data.download import Published
from gannet_training.data.errors import DataError
from gannet_training.data.known import fetch, find
from gannet_training.data.source import ImageSource

_SIDE = 28
_IMAGES, _LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 8
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class IdxSet:
    """A set of 28x28 grey images in ten classes, in two IDX files."""

    name: str
    class_names: tuple[str, ...]
    images: Published
    labels: Published

    def open(self, image_size: int, root: Path | None = None) -> ImageSource:
        """Open the training images; a `.npz` file of the set's name is taken where there is one.

        Raises:
            DataError: a file is damaged, or missing and cannot be downloaded.
        """
        archive = find(self.name, [f"{self.name}.npz"], root)
        if archive:
            images, labels = _read_npz(archive)
        else:
            images, labels = (_read_idx(self._locate(file, root)) for file in (self.images, self.labels))
        _check(self.name, images, labels, len(self.class_names))
        return from_pixels(images[..., np.newaxis], labels, self.class_names, image_size)

    def _locate(self, file: Published, root: Path | None) -> Path:
        plain = file.name.removesuffix(".gz")
        names = (plain, file.name, plain.replace("-idx", ".idx"))
        return find(self.name, names, root, shared_names=True) or fetch(self.name, file, root)


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["x_train"], arrays["y_train"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"cannot read {path}: {error}; expected an npz file with x_train and y_train"
        ) from error


def _read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes: two zeros, type, rank, shape (big endian), values."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if packed else raw
            magic = file.read(4)
            if magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
                raise DataError(
                    f"{path}: expected an IDX file of unsigned bytes, received {magic!r} as its start"
                )
            shape = np.frombuffer(file.read(4 * magic[3]), ">u4").tolist()
            count = min(math.prod(shape), _MOST_BYTES)
            values = np.frombuffer(file.read(count + 1), np.uint8)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}; delete it and it is downloaded again") from error
    if len(values) != math.prod(shape):
        raise DataError(
            f"{path}: expected {math.prod(shape)} bytes for the shape {shape}, received "
            f"{'more' if len(values) > count else len(values)}; delete it and it is downloaded again"
        )
    return values.reshape(shape)


def _check(name: str, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
    good = (
        images.dtype == np.uint8
        and images.shape[1:] == (_SIDE, _SIDE)
        and len(images) > 0
        and labels.shape == images.shape[:1]
        and labels.dtype.kind in "iu"
        and 0 <= labels.min() <= labels.max() < classes
    )
    if not good:
        raise DataError(
            f"{name}: expected images uint8 [N, {_SIDE}, {_SIDE}] and as many labels from 0 to {classes - 1}"
            f", received {images.dtype} {list(images.shape)} and {labels.dtype} {list(labels.shape)}; "
            "put the published files in their place"
        )


_OSSCI = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_ZALANDO = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

MNIST = IdxSet(
    "mnist",
    tuple("0123456789"),
    # The checksums that torchvision checks (torchvision/datasets/mnist.py).
    Published(f"{_IMAGES}.gz", f"{_OSSCI}{_IMAGES}.gz", 9_912_422, "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    Published(f"{_LABELS}.gz", f"{_OSSCI}{_LABELS}.gz", 28_881, "md5:d53e105ee54ea40749a09fcbcd1e9432"),
)
"""Handwritten digits: Y. LeCun, C. Cortes, C. Burges, The MNIST database, 1998."""

FASHION_MNIST = IdxSet(
    "fashion_mnist",
    (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
    # The checksums in the README of zalandoresearch/fashion-mnist.
    Published(
        f"{_IMAGES}.gz", f"{_ZALANDO}{_IMAGES}.gz", 26_421_880, "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"
    ),
    Published(f"{_LABELS}.gz", f"{_ZALANDO}{_LABELS}.gz", 29_515, "md5:25c81989df183df01b3e8a0aad5dffbe"),
)  # fmt: skip
"""Articles of clothing: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017 (arXiv:1708.07747)."""
