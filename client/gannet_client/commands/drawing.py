"""What `gannet generate` does: images from a client into files."""

import os.path
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gannet_client import images, png
from gannet_client.codec import Array
from gannet_client.commands.npz import write_npz
from gannet_client.commands.order import Order
from gannet_client.errors import UsageError
from gannet_client.generation import Generation, file_names
from gannet_client.record import Record

if TYPE_CHECKING:
    from gannet_client.client import Client


@dataclass(frozen=True)
class Outcome:
    """What was drawn and written.

    Attributes:
        last: The last piece that was drawn.
        records: What each image follows from.
        out: The directory or NPZ file.
        files: The files of the images, in their order; the NPZ file alone.
        kept: How many of the files were there already.
        grid: The file of all images.
    """

    last: Generation
    records: Sequence[Record]
    out: Path | None
    files: Sequence[Path] = ()
    kept: int = 0
    grid: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "model": self.last.model,
            "version": self.last.version,
            "seeds": [record.seed for record in self.records],
            "classes": None if self.last.classes is None else [record.label for record in self.records],
            "shape": [len(self.records), *self.last.array.shape[1:]],
            "files": [str(file) for file in self.files],
            "kept": self.kept,
            "grid": str(self.grid) if self.grid else None,
        }

    def as_text(self) -> str:
        """What is printed for people."""
        _, height, width, _ = self.last.array.shape
        lines = [
            f"{self.last.model}, version {self.last.version}: {len(self.records)} images of {width}x{height}"
        ]
        if self.files == [self.out]:
            lines.append(f"wrote {self.out}")
        elif self.out is not None:
            there = f"; {self.kept} were there" if self.kept else ""
            lines.append(f"wrote {len(set(self.files)) - self.kept} files to {self.out}{there}")
        if self.grid is not None:
            lines.append(f"wrote {self.grid}")
        return "\n".join(lines)


class _Watched:
    """Pieces, of which the last one and what all images follow from are remembered."""

    def __init__(self, pieces: Iterator[Generation], advance: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._advance = advance
        self.records: list[Record] = []

    def __iter__(self) -> Iterator[Generation]:
        for piece in self._pieces:
            yield piece
            self.last = piece
            self.records += piece.records()
            self._advance(len(piece))


def draw(
    client: "Client", order: Order, out: Path | None, grid: Path | None, advance: Callable[[int], None]
) -> Outcome:
    """Draws what is not there yet and writes it.

    Args:
        client: Asks the servers.
        order: What to draw.
        out: A directory for one PNG file of each image, or an NPZ file.
        grid: One PNG file of all images.
        advance: Called with the number of images that are done.

    Raises:
        GannetError: As for `Client.generate`, or a file cannot be written.
    """
    if out is None:
        outcome, pictures = _in_memory(client, order, advance)
    elif out.suffix.lower() == ".npz":
        outcome, pictures = _into_npz(client, order, out, advance)
    else:
        outcome, pictures = _into_directory(client, order, out, advance)
    if grid is None:
        return outcome
    images.save_png(images.grid(pictures()), grid)
    return replace(outcome, grid=grid)


def _in_memory(
    client: "Client", order: Order, advance: Callable[[int], None]
) -> tuple[Outcome, Callable[[], Array]]:
    watched = _Watched(order.draw(client), advance)
    arrays = [piece.array for piece in watched]
    return Outcome(watched.last, watched.records, None), lambda: np.concatenate(arrays)


def _into_npz(
    client: "Client", order: Order, out: Path, advance: Callable[[int], None]
) -> tuple[Outcome, Callable[[], Array]]:
    watched = _Watched(order.draw(client), advance)
    write_npz(out, iter(watched), len(order.seeds))

    def pictures() -> Array:
        with np.load(out, allow_pickle=False) as arrays:
            found: Array = arrays["images"]
            return found

    return Outcome(watched.last, watched.records, out, [out]), pictures


def _into_directory(
    client: "Client", order: Order, out: Path, advance: Callable[[int], None]
) -> tuple[Outcome, Callable[[], Array]]:
    known = order.records(client) if order.seeds and _has_images(out) else []
    pending = _missing(order, known, out) if known else order
    advance(len(order.seeds) - len(pending.seeds))
    watched = _Watched(pending.draw(client), advance)
    drawn = [path for piece in watched for path in piece.save(out)]
    files = _paths(known, out) if known else drawn
    outcome = Outcome(watched.last, known or watched.records, out, files, kept=len(set(files) - set(drawn)))
    return outcome, lambda: images.decode_pngs([file.read_bytes() for file in files])


def _has_images(directory: Path) -> bool:
    return os.path.isdir(directory) and any(directory.glob("*.png"))  # `Path.is_dir` may raise


def _missing(order: Order, records: Sequence[Record], directory: Path) -> Order:
    """The images that are not there yet, or were drawn in another way; of the version of the others."""
    files = zip(_paths(records, directory), records, strict=True)
    places = [place for place, (path, record) in enumerate(files) if not _holds(path, record)]
    return replace(order.at(places), version=records[0].version, version_label=None)


def _paths(records: Sequence[Record], directory: Path) -> list[Path]:
    seeds = [record.seed or 0 for record in records]
    labels = None if records[0].label is None else [record.label or 0 for record in records]
    return [directory / name for name in file_names(seeds, labels)]


def _holds(path: Path, record: Record) -> bool:
    try:
        with path.open("rb") as file:
            return Record.of_file(path) == record and png.is_whole(file)
    except (OSError, UsageError):
        return False
