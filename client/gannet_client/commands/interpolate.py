"""`gannet interpolate`: the way from image to image."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gannet_client.commands.options import Connection, Target, as_json, choosing, connected
from gannet_client.conditions import one_or_each
from gannet_client.errors import UsageError
from gannet_client.seeds import parse_seeds

if TYPE_CHECKING:
    from gannet_client.client import Client
    from gannet_client.generation import Generation

_SUFFIXES = (".gif", ".png")


@click.command()
@connected(30.0, "Limit for the way between two images.")
@click.option(
    "--seeds", required=True, metavar="LIST", help="The images to go through, at least two: 3,14,15."
)
@click.option(
    "--steps",
    type=int,
    default=8,
    show_default=True,
    metavar="N",
    help="Images from one to the next, both included.",
)
@click.option(
    "--how",
    type=click.Choice(["slerp", "lerp"]),
    default="slerp",
    show_default=True,
    help="Along the arc between the latent vectors, or the straight line.",
)
@click.option(
    "--out",
    type=Target(),
    required=True,
    metavar="FILE",
    help="A strip, FILE.png, or an animation, FILE.gif.",
)
@click.option(
    "--duration",
    type=click.IntRange(20, 60_000),
    default=100,
    show_default=True,
    metavar="MS",
    help="Of an animation: how long each image stays.",
)
@choosing
@as_json
def interpolate(
    connection: Connection,
    seeds: str,
    steps: int,
    how: str,
    out: Path,
    duration: int,
    classes: Sequence[str],
    value_range: tuple[float, float],
    as_json: bool,
    **options: Any,
) -> None:
    """Draw the way from one image to the next, as a strip or an animation.

    A model with classes or codes goes the whole way in those that are given.
    """
    import numpy as np

    from gannet_client import images
    from gannet_client.files import write_bytes

    through = parse_seeds(seeds)
    if len(through) < 2:
        raise UsageError(f"expected the seeds of at least two images, like 3,14; received {seeds!r}")
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"expected a file that ends in .png or .gif; received {str(out)!r}")
    options |= {"how": how, "classes": one_or_each(classes)}
    with connection.client(value_range=value_range) as client:
        ways = _ways(client, through, steps, options)
    frames = np.concatenate([ways[0].array, *(way.array[1:] for way in ways[1:])])
    if out.suffix.lower() == ".gif":
        write_bytes(out, images.encode_gif(frames, duration))
    else:
        images.save_png(images.grid(frames, columns=len(frames)), out)
    told = {"model": ways[0].model, "version": ways[0].version, "seeds": through, "images": len(frames)}
    text = f"{told['model']}, version {told['version']}: {len(frames)} images\nwrote {out}"
    click.echo(json.dumps({**told, "file": str(out)}) if as_json else text)


def _ways(client: "Client", seeds: Sequence[int], steps: int, options: dict[str, Any]) -> "list[Generation]":
    """The ways between neighbours, all drawn by the version that drew the first."""
    ways = [client.interpolate(seeds[0], seeds[1], steps, **options)]
    held = options | {"version": ways[0].version, "version_label": None}
    return ways + [client.interpolate(a, b, steps, **held) for a, b in pairwise(seeds[1:])]
