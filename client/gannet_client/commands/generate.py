"""`gannet generate`: images from a served model, as files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gannet_client import contract
from gannet_client.conditions import one_or_each
from gannet_client.errors import UsageError
from gannet_client.seeds import parse_seeds

if TYPE_CHECKING:
    from gannet_client.generation import Generation


@click.command()
@click.option(
    "--server",
    envvar="GANNET_SERVER",
    default=f"{contract.LOOPBACK}:{contract.GRPC_PORT}",
    metavar="HOST:PORT",
    show_default=True,
    show_envvar=True,
    help="Where the server listens for gRPC.",
)
@click.option(
    "--model",
    envvar="GANNET_MODEL",
    required=True,
    metavar="NAME",
    show_envvar=True,
    help="The name of the served model.",
)
@click.option("--seeds", required=True, metavar="RANGES", help="One image per seed: 0-15 or 0-3,7,10-12.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write one PNG file per seed here."
)
@click.option(
    "--grid", type=click.Path(path_type=Path), metavar="FILE", help="Write one PNG file of all images."
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="CLASS",
    help="Class of all images, by name or number; given as often as there are seeds, that of each.",
)
@click.option("--version", type=int, metavar="N", help="The version to ask, instead of the highest.")
@click.option("--version-label", metavar="L", help="The version to ask, by its label.")
@click.option(
    "--timeout",
    type=float,
    default=30.0,
    metavar="SECONDS",
    show_default=True,
    help="Limit for the whole call.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def generate(
    server: str,
    model: str,
    seeds: str,
    out: Path | None,
    grid: Path | None,
    classes: tuple[str, ...],
    version: int | None,
    version_label: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Draw images from a served model.

    The same seed of the same version always draws the same image. A model that has classes draws the class
    from the seed, too, unless it is given.
    """
    from gannet_client.client import Client
    from gannet_client.images import save_png

    if out is None and grid is None:
        raise UsageError("nothing to write: pass --out DIR, --grid FILE or both")
    with Client(server, model=model, timeout=timeout) as client:
        images = client.generate(
            seeds=parse_seeds(seeds),
            classes=one_or_each(classes),
            version=version,
            version_label=version_label,
        )
    files = images.save(out) if out else []
    if grid:
        save_png(images.grid(), grid)
    click.echo(_as_json(images, files, grid) if as_json else _as_text(images, files, out, grid))


def _as_json(images: "Generation", files: list[Path], grid: Path | None) -> str:
    return json.dumps(
        {
            "model": images.model,
            "version": images.version,
            "seeds": None if images.seeds is None else images.seeds.tolist(),
            "classes": None if images.classes is None else images.classes.tolist(),
            "shape": list(images.array.shape),
            "files": [str(path) for path in files],
            "grid": str(grid) if grid else None,
        }
    )


def _as_text(images: "Generation", files: list[Path], out: Path | None, grid: Path | None) -> str:
    count, height, width, _ = images.array.shape
    lines = [f"{images.model}, version {images.version}: {count} images of {width}x{height}"]
    if out:
        lines.append(f"wrote {len(set(files))} files to {out}")
    if grid:
        lines.append(f"wrote {grid}")
    return "\n".join(lines)
