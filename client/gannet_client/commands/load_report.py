"""Measurements of load, as a table and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gannet_client.commands.load import PERCENTILES, Measurement
from gannet_client.files import write_file

_COLUMNS: Final = (
    "load",
    "rows",
    "images/s",
    "requests/s",
    *(f"{name} ms" for name in PERCENTILES),
    "errors",
)
_WIDTH: Final = 10


def table_head() -> str:
    """The names of the columns."""
    return _line(_COLUMNS)


def table_row(found: Measurement) -> str:
    """A line of the table."""
    load = f"{found.load.callers} at once" if found.load.rate is None else f"{found.load.rate:g}/s"
    errors = ", ".join(f"{count} {name}" for name, count in sorted(found.errors.items())) or "0"
    speeds = (f"{found.images_per_second:.1f}", f"{found.requests / found.seconds:.1f}")
    latencies = (f"{milliseconds:.2f}" for milliseconds in found.latencies.values())
    return _line((load, str(found.load.rows), *speeds, *latencies, errors))


def draw_curves(measurements: Sequence[Measurement], title: str, path: Path) -> None:
    """Writes throughput and latency over concurrency, and over rate, as a PNG file.

    Raises:
        UsageError: It cannot be written.
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    loops = [
        ("callers at once", [found for found in measurements if found.load.rate is None]),
        ("requests per second", [found for found in measurements if found.load.rate is not None]),
    ]
    shown = [(name, found) for name, found in loops if found]
    figure = Figure(figsize=(10, 4 * len(shown)), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(len(shown), 2, squeeze=False)
    for (name, found), (speed, latency) in zip(shown, grid, strict=True):
        _draw_loop(name, found, speed, latency)
    write_file(path, lambda file: figure.savefig(file, format="png"), "plot")


def _draw_loop(name: str, measurements: Sequence[Measurement], speed: Any, latency: Any) -> None:
    for rows in dict.fromkeys(found.load.rows for found in measurements):
        found = [one for one in measurements if one.load.rows == rows]
        loads = [one.load.callers or one.load.rate for one in found]
        (line,) = speed.plot(
            loads, [one.images_per_second for one in found], "o-", label=f"{rows} per request"
        )
        for percentile, style in (("p50", "-"), ("p99", "--")):
            latency.plot(
                loads,
                [one.latencies[percentile] for one in found],
                style,
                marker="o",
                color=line.get_color(),
                label=f"{rows} per request, {percentile}",
            )
    for axes, what in ((speed, "images per second"), (latency, "milliseconds")):
        axes.set(xlabel=name, ylabel=what, ylim=(0, None))
        axes.legend()
        axes.grid(alpha=0.3)


def _line(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:>{_WIDTH}}" for cell in cells)
