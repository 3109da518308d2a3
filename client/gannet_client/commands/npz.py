"""Images as one NPZ file, in memory for a piece of them."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np

from gannet_client.codec import Array
from gannet_client.files import write_file
from gannet_client.generation import Generation

_OF_EACH = ("seeds", "classes", "truncation", "codes")


def write_npz(path: Path, pieces: Iterator[Generation], count: int) -> None:
    """Writes the file, complete or not at all; `numpy.load` reads it.

    It holds `images` uint8 [n, H, W, C]; for each of them `seeds` and, as far as the model has them,
    `classes`, `truncation` and `codes`, as a `Generation` does; and `model`, `version` and `weights`.

    Args:
        path: Where.
        pieces: The images, at least one piece.
        count: How many images they have together.

    Raises:
        UsageError: It cannot be written.
        GannetError: What getting a piece raises.
    """
    write_file(path, lambda file: _write(file, pieces, count), "file")


def _write(file: BinaryIO, pieces: Iterator[Generation], count: int) -> None:
    first = next(pieces)
    rows: list[dict[str, Array]] = []
    with ZipFile(file, "w") as archive:
        with archive.open("images.npy", "w", force_zip64=True) as entry:
            shape = (count, *first.array.shape[1:])
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(entry, header)
            for piece in chain([first], pieces):
                entry.write(piece.array.tobytes())
                rows.append({name: value for name in _OF_EACH if (value := getattr(piece, name)) is not None})
        found = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        found |= {name: np.array(getattr(first, name)) for name in ("model", "version")}
        found["weights"] = np.array(first.weights or "")
        for name, array in found.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
