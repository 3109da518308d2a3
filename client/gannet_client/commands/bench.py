"""`gannet bench`: how fast servers draw."""

import asyncio
import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gannet_client.commands.options import Connection, Target, as_json, choosing, connected
from gannet_client.errors import UsageError

if TYPE_CHECKING:
    from gannet_client.commands.load import Load, Measurement

_CALLERS: Final = (1, 2, 4, 8)
_WARM_UP: Final = 3


class _Numbers(click.ParamType[tuple[float, ...]]):
    """Positive numbers with commas between them."""

    name = "numbers"

    def __init__(self, kind: Callable[[str], float], most: float) -> None:
        self._kind = kind
        self._most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers as a tuple."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(map(self._kind, value.split(",")))
        except ValueError:
            numbers = (math.nan,)
        if not all(0 < number <= self._most for number in numbers):
            self.fail(f"expected positive numbers up to {self._most:g}, like 1,16,64; received {value!r}")
        return numbers


@click.command()
@connected(30.0, "Limit for a request; one that takes longer counts as an error.")
@choosing
@click.option(
    "--rows",
    type=_Numbers(int, 1 << 16),
    default="1,16,64",
    show_default=True,
    help="Images of a request.",
)
@click.option(
    "--concurrency",
    type=_Numbers(int, 1000),
    metavar="NUMBERS",
    help="Closed loop: so many callers, each asks again when answered; by default 1,2,4,8.",
)
@click.option(
    "--rates",
    type=_Numbers(float, 1e5),
    metavar="NUMBERS",
    help="Open loop: so many requests begin a second, answered or not.",
)
@click.option(
    "--seconds",
    type=float,
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to measure each load.",
)
@click.option(
    "--format",
    type=click.Choice(["pixels", "png", "float"]),
    default="pixels",
    show_default=True,
    help="What an image comes as.",
)
@click.option("--plot", type=Target(), metavar="FILE", help="Write a PNG file with curves.")
@as_json
def bench(
    connection: Connection,
    rows: Sequence[int],
    concurrency: Sequence[int] | None,
    rates: Sequence[float] | None,
    seconds: float,
    plot: Path | None,
    as_json: bool,
    **drawing: Any,
) -> None:
    """Measure how many images servers draw, and how long callers wait.

    Every number of --rows is combined with every one of --concurrency and of --rates. In an open loop, a
    latency counts from the moment at which the request was due, so that waiting is not hidden. No request is
    sent again.
    """
    from gannet_client.commands.load import Load
    from gannet_client.commands.load_report import draw_curves
    from gannet_client.extras import require

    if not 0 < seconds < math.inf:
        raise UsageError(f"--seconds must be a positive number; received {seconds}")
    if plot is not None:
        require("cli", "matplotlib")
    loads = [
        Load(size, callers, None) for size in rows for callers in concurrency or (() if rates else _CALLERS)
    ]
    loads += [Load(size, None, rate) for size in rows for rate in rates or ()]
    found = asyncio.run(_measure(connection, loads, seconds, drawing, None if as_json else _Table()))
    if as_json:
        told = {"model": connection.model, "servers": connection.servers}
        click.echo(json.dumps(told | {"measurements": [one.as_dict() for one in found]}))
    if plot is not None:
        draw_curves(found, f"{connection.model} at {', '.join(connection.servers)}", plot)


class _Table:
    """Shows each measurement when it is there."""

    def __init__(self) -> None:
        self._begun = False

    def show(self, found: "Measurement") -> None:
        from gannet_client.commands.load_report import table_head, table_row

        if not self._begun:
            click.echo(table_head())
        self._begun = True
        click.echo(table_row(found))


async def _measure(
    connection: Connection,
    loads: "Sequence[Load]",
    seconds: float,
    drawing: dict[str, Any],
    table: "_Table | None",
) -> "list[Measurement]":
    from gannet_client.commands.load import measure
    from gannet_client.conditions import one_or_each
    from gannet_client.settings import NO_RETRY

    drawing["classes"] = one_or_each(drawing["classes"])
    options = {"value_range": drawing.pop("value_range"), "retry": NO_RETRY}
    options["chunk_rows"] = max(load.rows for load in loads)
    seeds = itertools.count()
    measured = []
    async with connection.async_client(**options) as client:
        for load in loads:
            for _ in range(_WARM_UP):
                await client.generate(load.rows, seed=next(seeds), **drawing)
            found = await measure(
                lambda rows: client.generate(rows, seed=next(seeds), **drawing), load, seconds
            )
            if table is not None:
                table.show(found)
            measured.append(found)
    return measured
