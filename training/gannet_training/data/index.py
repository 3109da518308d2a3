"""The index of a scanned set: which of its items are good, and where they are.

It is a text file of JSON lines. The first describes the set; every other one stands for a file: its path, its
size and time when it was scanned, and the good items in it as [offset, length, class].
"""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gannet_client.errors import UsageError
from gannet_training.data.errors import DataError, shown
from gannet_training.storage import PARTIAL

FORMAT = 1


class Place(NamedTuple):
    """Where the bytes of an encoded image are."""

    path: str
    offset: int
    length: int


class Stamp(NamedTuple):
    """By what a changed file is recognised."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> "Stamp":
        """Look at a file.

        Raises:
            OSError: it cannot be looked at.
        """
        status = os.stat(path)
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Index:
    """The good items of a set, in the order that their numbers follow.

    Attributes:
        source: what was scanned, as "folder:..." or "tfrecord:..." with an absolute path.
        places: of the images.
        labels: int64 [N], or None.
        class_names: a name per class.
        stamps: of every file with a good item.
        damaged: name and reason of every item that was left out.
    """

    source: str
    places: list[Place]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    stamps: dict[str, Stamp]
    damaged: list[tuple[str, str]]

    def write(self, path: Path) -> None:
        """Write the index; the file appears complete or not at all.

        Raises:
            UsageError: it cannot be written there.
        """
        partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="ascii") as file:
                file.writelines(json.dumps(line) + "\n" for line in self._lines())
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise UsageError(
                f"cannot write the index {path}: {error.strerror}; choose another place for it"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def _lines(self) -> Iterator[dict[str, Any]]:
        yield {
            "format": FORMAT,
            "source": self.source,
            "items": len(self.places),
            "class_names": self.class_names,
            "damaged": self.damaged,
        }
        items: dict[str, list[tuple[int, int, int]]] = {path: [] for path in self.stamps}
        labels = [-1] * len(self.places) if self.labels is None else self.labels.tolist()
        for place, label in zip(self.places, labels, strict=True):
            items[place.path].append((place.offset, place.length, label))
        for path, stamp in self.stamps.items():
            yield {"file": path, **stamp._asdict(), "items": items[path]}

    @classmethod
    def read(cls, path: Path, source: str) -> "Index":
        """Read the index of a set, and make sure that it still describes it.

        Args:
            path: of the index.
            source: the set it must be of.

        Raises:
            DataError: it is damaged or of another set, or files of the set have changed.
        """
        try:
            with path.open(encoding="ascii") as file:
                index = cls._parse(json.loads(line) for line in file)
        except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise DataError(
                f"cannot read the index {path}: {error}; delete it to scan the data again"
            ) from error
        if index.source != source:
            raise DataError(
                f"{path} is the index of {shown(index.source)}, expected that of {shown(source)}; "
                "use the data that it was made of, or delete it"
            )
        index._refuse_changes(path)
        return index

    @classmethod
    def _parse(cls, lines: Iterator[Any]) -> "Index":
        header = next(lines)
        if header["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}, received {header['format']!r}")
        stamps: dict[str, Stamp] = {}
        places: list[Place] = []
        labels: list[int] = []
        for line in lines:
            stamps[line["file"]] = Stamp(line["size"], line["mtime_ns"])
            for offset, length, label in line["items"]:
                places.append(Place(line["file"], offset, length))
                labels.append(label)
        if len(places) != header["items"] or not places:
            raise ValueError(f"expected {header['items']} items, received {len(places)}")
        return cls(
            source=header["source"],
            places=places,
            labels=np.array(labels, np.int64) if header["class_names"] else None,
            class_names=tuple(header["class_names"]),
            stamps=stamps,
            damaged=[(item, reason) for item, reason in header["damaged"]],
        )

    def _refuse_changes(self, path: Path) -> None:
        changed = [file for file, stamp in self.stamps.items() if _differs(file, stamp)]
        if changed:
            raise DataError(
                f"{len(changed)} of the {len(self.stamps)} files of {shown(self.source)} changed or vanished "
                f"since they were scanned, the first is {shown(changed[0])}; bring them back as they were, "
                f"or delete {path} to scan again: the order of the data will then be another"
            )


def _differs(file: str, stamp: Stamp) -> bool:
    try:
        return Stamp.of(file) != stamp
    except OSError:
        return True
