"""`gannet generate`: images from a served model, as files."""

import json
import os.path
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gannet_client.commands.options import Connection, Target, as_json, choosing, connected
from gannet_client.commands.order import Order, parse_shard
from gannet_client.errors import GannetError, UsageError
from gannet_client.seeds import parse_seeds
from gannet_client.terminal import printable

_MOST = 1_000_000
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".zip")


@click.command()
@connected(30.0, "Limit for each piece of some images.")
@click.option("--seeds", required=True, metavar="RANGES", help="One image per seed: 0-15 or 0-3,7,10-12.")
@click.option(
    "--out",
    type=Target(dir_okay=True),
    metavar="DIR|FILE.npz",
    help="Write one PNG file per seed into a directory, or all images into one NPZ file.",
)
@click.option("--grid", type=Target(), metavar="FILE", help="Write one PNG file of all images.")
@choosing
@click.option("--shard", metavar="K/N", help="Draw the K-th of N parts alone: one for each of N machines.")
@as_json
def generate(
    connection: Connection,
    seeds: str,
    out: Path | None,
    grid: Path | None,
    shard: str | None,
    value_range: tuple[float, float],
    as_json: bool,
    **order: Any,
) -> None:
    """Draw images from a served model.

    The same seed of the same version always draws the same image. A model that has classes draws the class
    from the seed, too, unless it is given. Images that are in the directory already are not drawn again, so
    that an interrupted run goes on where it was.
    """
    from gannet_client.commands.drawing import draw

    _require_targets(out, grid)
    wanted = Order(parse_seeds(seeds, limit=_MOST), **order)
    if shard is not None:
        wanted = wanted.shard(*parse_shard(shard))
    bar = click.progressbar(length=len(wanted.seeds), file=sys.stderr, hidden=not sys.stderr.isatty())
    with (
        connection.client(value_range=value_range) as client,
        _told_how_to_go_on(out, lambda: bar.pos),  # once the bar has ended its line
        bar,
    ):
        outcome = draw(client, wanted, out, grid, bar.update)
    click.echo(json.dumps(outcome.as_dict()) if as_json else outcome.as_text())


@contextmanager
def _told_how_to_go_on(out: Path | None, written: Callable[[], int]) -> Iterator[None]:
    """Says of a run that ended early that what is written already is not lost."""
    try:
        yield
    except (KeyboardInterrupt, GannetError) as error:
        may_go_on = error.retryable if isinstance(error, GannetError) else True
        if may_go_on and written() and out is not None and os.path.isdir(out):
            click.echo(f"gannet: not complete; the same command goes on in {printable(str(out))}", err=True)
        raise


def _require_targets(out: Path | None, grid: Path | None) -> None:
    if out is None and grid is None:
        raise UsageError("nothing to write: pass --out DIR, --grid FILE or both")
    if out is not None and out.suffix.lower() != ".npz" and not os.path.isdir(out):
        if os.path.exists(out):
            raise UsageError(
                f"expected a directory, or a file that ends in .npz; {str(out)!r} is another file"
            )
        if out.suffix.lower() in _PICTURES:
            raise UsageError(
                f"expected a directory, or a file that ends in .npz; received {str(out)!r}; one picture of "
                "all images is --grid FILE"
            )
    if grid is not None and grid.suffix.lower() not in ("", ".png"):
        raise UsageError(
            f"--grid writes a PNG file; expected a name that ends in .png, received {str(grid)!r}"
        )
