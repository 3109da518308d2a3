"""Sets of encoded images, PNG or JPEG: scanned once, then read by index."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gannet_client.errors import UsageError
from gannet_training.data.decoding import MOST_BYTES, decode
from gannet_training.data.errors import DataError, shown
from gannet_training.data.index import Index, Place, Stamp
from gannet_training.data.progress import progress
from gannet_training.data.reading import Reader, threads
from gannet_training.data.source import ImageSource, from_reader

MOST_DAMAGED = 0.1
"""A set of which more than this share is damaged is refused."""
_NAMED = 10
"""So many damaged items are named in the log; the index names all."""
_AT_ONCE = 256

log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """What a scan found and has not looked into.

    Attributes:
        place: of the image.
        stamp: of its file, or None where the file cannot be read.
        label: of its class, any number from 0 on; -1: none.
        class_name: of its class.
        damage: why it is known not to be an image, if it is.
    """

    place: Place
    stamp: Stamp | None
    label: int = -1
    class_name: str = ""
    damage: str = ""

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return _name(self.place)


def open_encoded(
    source: str, candidates: Iterable[Candidate], index: Path | None, image_size: int, channels: int
) -> ImageSource:
    """Open a set, by the index of an earlier scan if there is one.

    Args:
        source: what it is, for the index: with an absolute path.
        candidates: what is in it, found when it is iterated over.
        index: where to keep the index; None: nowhere.
        image_size: side of the images that the source gives.
        channels: 1 (grey) or 3 (RGB).

    Raises:
        UsageError: no image is in it.
        DataError: too many items are damaged, or files changed since the index was written.
    """
    if index is not None and index.exists():
        found = Index.read(index, source)
    else:
        found = _scan(source, candidates)
        if index is not None:
            found.write(index)
        _report(found, index)
    shape = (image_size, image_size, channels)
    reader = Reader(
        lambda item: decode(read_bytes(found.places[item]), image_size, channels),
        len(found.places),
        shape,
        found.labels,
        lambda item: _name(found.places[item]),
    )
    return from_reader(reader, len(found.places), shape, found.labels, found.class_names)


def candidate_classes(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """Name the classes of what a scan found, without looking into it."""
    return _classes([candidate for candidate in candidates if not candidate.damage])[1]


def read_bytes(place: Place) -> bytes:
    """Read an encoded image.

    Raises:
        OSError: the file cannot be read.
        DataError: it is too short, or the image too large.
    """
    if place.length > MOST_BYTES:
        raise DataError(f"{place.length:,} bytes are more than {MOST_BYTES:,}")
    with open(place.path, "rb") as file:
        file.seek(place.offset)
        data = file.read(place.length)
    if len(data) < place.length:
        raise DataError(f"it ends after {len(data)} of {place.length} bytes")
    if not data:
        raise DataError("it is empty")
    return data


def _scan(source: str, candidates: Iterable[Candidate]) -> Index:
    good: list[Candidate] = []
    damaged: list[tuple[str, str]] = []
    with progress(f"scanning {shown(source)}") as done:
        for candidate, damage in _judged(iter(candidates)):
            if damage:
                damaged.append((candidate.name, damage))
            else:
                good.append(candidate)
            done(len(good) + len(damaged))
    _refuse(source, len(good), damaged)
    labels, class_names = _classes(good)
    return Index(
        source=source,
        places=[candidate.place for candidate in good],
        labels=labels,
        class_names=class_names,
        stamps={candidate.place.path: candidate.stamp for candidate in good if candidate.stamp},
        damaged=damaged,
    )


def _judged(candidates: Iterator[Candidate]) -> Iterator[tuple[Candidate, str]]:
    """Decode every candidate once, in parallel; the order stays."""
    while chunk := list(itertools.islice(candidates, _AT_ONCE)):
        yield from zip(chunk, threads().map(_damage, chunk), strict=True)


def _damage(candidate: Candidate) -> str:
    if candidate.damage:
        return candidate.damage
    try:
        decode(read_bytes(candidate.place), image_size=1, channels=3)
    except (OSError, DataError) as error:
        return str(getattr(error, "strerror", None) or error)
    return ""


def _refuse(source: str, good: int, damaged: list[tuple[str, str]]) -> None:
    if not good and not damaged:
        raise UsageError(f"{shown(source)}: expected PNG or JPEG images, received none")
    if len(damaged) > MOST_DAMAGED * (good + len(damaged)):
        name, reason = damaged[0]
        raise DataError(
            f"{shown(source)}: {len(damaged)} of {good + len(damaged)} images are damaged, more than "
            f"{MOST_DAMAGED:.0%}, the first is {name}: {reason}; repair or remove them"
        )


def _classes(good: list[Candidate]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Number the classes from 0; there are none unless every image has one, and there are two of them."""
    names = {candidate.label: candidate.class_name for candidate in reversed(good)}
    if -1 in names or len(names) < 2:
        return None, ()
    used = sorted(names)
    labels = np.searchsorted(used, [candidate.label for candidate in good]).astype(np.int64)
    return labels, tuple(names[label] for label in used)


def _report(index: Index, path: Path | None) -> None:
    for name, reason in index.damaged[:_NAMED]:
        log.warning("left out: %s: %s", name, reason)
    if len(index.damaged) > _NAMED:
        rest = f", all of them are named in {path}" if path else ""
        log.warning("left out: %d more damaged images%s", len(index.damaged) - _NAMED, rest)


def _name(place: Place) -> str:
    return f"{shown(place.path)} at byte {place.offset}" if place.offset else shown(place.path)
