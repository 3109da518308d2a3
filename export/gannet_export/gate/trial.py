"""What the gate is asked to try."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Tolerance(NamedTuple):
    """Largest difference allowed between what an export draws and the generator's own.

    Attributes:
        images: in units of [-1, 1].
        pixels: in grey levels; a rounding boundary may fall between two equally good floats.
        rows: in grey levels, between the answers to one row in two requests.
    """

    images: float
    pixels: int
    rows: int


TOLERANCES = {"float32": Tolerance(1e-5, 1, 1), "bfloat16": Tolerance(2 / 127.5, 3, 2)}
"""By the precision of the export."""


@dataclass(frozen=True)
class Trial:
    """An export before its publication, and what it must be.

    Attributes:
        directory: holds `saved_model.pb`.
        golden: file of a :class:`gannet_export.golden.Golden`.
        largest_batch: rows of the largest request to try.
        card: what the `card` signature must answer.
        warmed: batches in the warm-up file, by signature.
        tolerance: for images.
    """

    directory: Path
    golden: Path
    largest_batch: int
    card: dict[str, Any]
    warmed: dict[str, list[int]]
    tolerance: Tolerance

    def to_line(self) -> str:
        """As one line of text, for another process."""
        paths = {"directory": str(self.directory.absolute()), "golden": str(self.golden.absolute())}
        return json.dumps({**asdict(self), **paths, "tolerance": list(self.tolerance)})

    @classmethod
    def of_line(cls, line: str) -> "Trial":
        """Read what :meth:`to_line` wrote."""
        values = json.loads(line)
        paths = {name: Path(values.pop(name)) for name in ("directory", "golden")}
        return cls(**values | paths | {"tolerance": Tolerance(*values["tolerance"])})
