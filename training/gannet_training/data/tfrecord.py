"""`tfrecord:GLOB`: encoded images in TFRecord files of `tf.train.Example`."""

import glob
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gannet_client.errors import UsageError
from gannet_training.data.crc32c import masked_crc32c
from gannet_training.data.encoded import MOST_BYTES, Candidate, candidate_classes, open_encoded
from gannet_training.data.errors import DataError, shown
from gannet_training.data.index import Place, Stamp
from gannet_training.data.source import ImageSource

IMAGE_KEYS = ("image/encoded", "image")
"""Features that may hold the image, bytes of a PNG or JPEG file; the first that is there counts."""
LABEL_KEYS = ("image/class/label", "label")
"""Features that may hold the class, an integer from 0 on."""
NAME_KEY = "image/class/text"
"""The feature that may hold the name of the class."""

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_GZIP_MAGIC = b"\x1f\x8b"


def check_glob(pattern: str) -> list[str]:
    """Find the files of a pattern, sorted.

    Raises:
        UsageError: there is none.
    """
    paths = sorted(
        path for path in glob.glob(os.path.abspath(pattern), recursive=True) if os.path.isfile(path)
    )
    if not pattern or not paths:
        raise UsageError(
            f"expected a pattern of TFRecord files, received '{shown(pattern)}'; no file matches it"
        )
    return paths


def open_tfrecord(pattern: str, image_size: int, channels: int, index: Path | None) -> ImageSource:
    """Open the images in TFRecord files, in the order of the files' names and of the records in them.

    Args:
        pattern: of the files' paths; `**` stands for any folders.
        image_size: side to which the central squares are resized.
        channels: 1 (grey) or 3 (RGB).
        index: where to keep the index of good records.

    Raises:
        UsageError: no file matches.
        DataError: a file is compressed, or see :func:`~gannet_training.data.encoded.open_encoded`.
    """
    paths = check_glob(pattern)
    found = (candidate for path in paths for candidate in _candidates(path))
    return open_encoded(f"tfrecord:{os.path.abspath(pattern)}", found, index, image_size, channels)


def tfrecord_classes(pattern: str) -> tuple[str, ...]:
    """Name the classes in TFRecord files, which are read for it; empty if there are none.

    Raises:
        UsageError: no file matches.
        DataError: a file is compressed.
    """
    return candidate_classes(candidate for path in check_glob(pattern) for candidate in _candidates(path))


def _candidates(path: str) -> Iterator[Candidate]:
    try:
        stamp = Stamp.of(path)
        with open(path, "rb") as file:
            yield from _records(file, path, stamp)
    except OSError as error:
        yield Candidate(Place(path, 0, 0), None, damage=error.strerror or str(error))


def _records(file: IO[bytes], path: str, stamp: Stamp) -> Iterator[Candidate]:
    """Walk through a file by its lengths, so that a damaged record costs itself alone.

    A record is its length, the checksum of that, its data, the checksum of those. Behind a damaged length no
    record can be found.
    """
    offset = 0
    while header := file.read(_HEADER.size):
        if offset == 0 and header.startswith(_GZIP_MAGIC):
            raise DataError(f"{shown(path)} is compressed, expected a plain TFRecord file; decompress it")
        start = offset + _HEADER.size
        length = _length(header)
        if length is None or start + length + _FOOTER.size > stamp.size:
            damage = "it is cut off or damaged; what follows in the file is lost"
            yield Candidate(Place(path, offset, 0), stamp, damage=damage)
            return
        if length > MOST_BYTES:
            file.seek(length + _FOOTER.size, os.SEEK_CUR)
            yield Candidate(Place(path, start, length), stamp, damage=f"{length:,} bytes are too many")
        else:
            data, footer = file.read(length), file.read(_FOOTER.size)
            yield _candidate(data, footer, Place(path, start, length), stamp)
        offset = start + length + _FOOTER.size


def _length(header: bytes) -> int | None:
    if len(header) < _HEADER.size:
        return None
    length, checksum = _HEADER.unpack(header)
    return length if masked_crc32c(header[:8]) == checksum else None


def _candidate(data: bytes, footer: bytes, record: Place, stamp: Stamp) -> Candidate:
    if footer != _FOOTER.pack(masked_crc32c(data)):
        return Candidate(record, stamp, damage="its checksum is wrong")
    from google.protobuf.message import DecodeError

    try:
        features = _features(data)
    except DecodeError:
        return Candidate(record, stamp, damage="it is no tf.train.Example")
    image = _first(features, IMAGE_KEYS, "bytes_list")
    if not image:
        return Candidate(record, stamp, damage=f"it has no feature {' or '.join(IMAGE_KEYS)} of bytes")
    label = _first(features, LABEL_KEYS, "int64_list")
    name = _first(features, (NAME_KEY,), "bytes_list")
    return Candidate(
        # Where the image stands inside of the record, so that later nothing else need be read.
        Place(record.path, record.offset + data.find(image), len(image)),
        stamp,
        -1 if label is None or label < 0 else label,
        name.decode("utf-8", "replace") if name else str(label),
    )


def _features(data: bytes) -> Any:
    import tensorflow as tf

    return tf.train.Example.FromString(data).features.feature


def _first(features: Any, keys: tuple[str, ...], kind: str) -> Any:
    """The first value of the first feature that is there, if it is of that kind."""
    present = [features[key] for key in keys if key in features]
    values = getattr(present[0], kind).value if present else ()
    return values[0] if values else None
