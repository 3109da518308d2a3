"""What the commands print; no byte of a model's directory steers the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gannet_client.terminal import printable
from gannet_export.listing import Listed

if TYPE_CHECKING:
    from gannet_export.collection import Collected

_COLUMNS = ("name", "version", "labels", "family", "image", "steps", "precision", "size", "created")
_NUMBERS = {"version", "steps", "size"}
_ENDLESS = 10_000


def print_table(rows: Sequence[Listed]) -> None:
    """Print versions as a table, and below it why a card or labels cannot be read."""
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in rows:
        table.add_row(*map(Text, _cells(row)))
    # A narrow terminal wraps lines; the table would cut words.
    Console(width=_ENDLESS, highlight=False).print(table)
    for row in rows:
        if row.trouble:
            print(f"{one_line(row.name)}/{row.version}: {one_line(row.trouble)}")


def card_lines(values: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Write a card as lines, `key: value`, with parts of parts indented."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{one_line(key)}:"
            yield from card_lines(value, indent + "  ")
        elif value not in (None, [], {}):
            yield f"{indent}{one_line(key)}: {one_line(value)}"


def collected_lines(collected: "Collected", models: Path, dry_run: bool) -> Iterator[str]:
    """Write what went, or would go, one line each."""
    gone = "would be" if dry_run else "was"
    for version, freed in collected.removed.items():
        yield f"{one_line(version)} {gone} removed, {readable_size(freed)}"
    for path in collected.swept:
        yield f"{one_line(path.relative_to(models))} {gone} swept"


def readable_size(count: int) -> str:
    """Write a number of bytes with a unit.

    Example:
        >>> readable_size(999), readable_size(1_250_000), readable_size(3 * 10**12)
        ('999 B', '1.2 MB', '3000.0 GB')
    """
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def one_line(value: object) -> str:
    r"""Write any JSON value in one printable line; None is a dash.

    Example:
        >>> one_line([16, 16, 1]), one_line("\x1b[2J red"), one_line(None)
        ('16, 16, 1', '\\x1b[2J red', '-')
    """
    if value is None:
        return "-"
    return printable(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _cells(row: Listed) -> list[str]:
    shape = "x".join(map(str, row.image_shape)) if isinstance(row.image_shape, list) else row.image_shape
    created = row.created and row.created[:16].replace("T", " ")
    values = (row.name, row.version, row.labels or None, row.family, shape, row.steps, row.precision)
    return [*map(one_line, values), readable_size(row.bytes), one_line(created)]
