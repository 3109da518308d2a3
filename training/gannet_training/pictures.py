"""The pictures that sum up a run: its losses, and the same latents over time."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gannet_client import images
from gannet_training.data import is_point
from gannet_training.run import Run
from gannet_training.sampling import GRID_PADDING
from gannet_training.storage import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

PROGRESS_ROWS = 8
FRAMES, FRAME_MS, LAST_FRAME_MS = 40, 150, 2000
FRAME_SIDES = (256, 512)
"""Of the animation, in pixels: small grids are enlarged to at least, large ones reduced to at most."""
_CURVES = {"d_loss": "discriminator", "g_loss": "generator"}


def draw_losses(run: Run, path: Path) -> Path:
    """Draw the loss of both networks against the step, as a PNG.

    Args:
        run: with at least one epoch behind it.
        path: of the PNG.
    """
    from matplotlib.figure import Figure

    records = list(run.read_metrics())
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for name, label in _CURVES.items():
        axes.plot([record["step"] for record in records], [record[name] for record in records], label=label)
    axes.set(xlabel="step", ylabel="loss (mean of the epoch)", title=f"Losses of {run.path.name}")
    axes.legend()
    png = io.BytesIO()
    figure.savefig(png, dpi=110)
    write_atomically(path, png.getvalue())
    return path


def draw_progress(run: Run, path: Path) -> Path:
    """Stack the first row of several sample grids: each column is one latent, improving downwards.

    Maps of points stand side by side.

    Args:
        run: with sample grids.
        path: of the PNG; its directory is made.
    """
    config = run.config()
    grids = [np.atleast_3d(np.asarray(grid)) for grid in _grids(run, PROGRESS_ROWS)]
    if not grids:
        return path
    if is_point((config.image_size, config.image_size, config.channels)):
        return images.save_png(np.concatenate(grids, axis=1), path)
    strips = [grid[: config.image_size + GRID_PADDING] for grid in grids]
    last = np.full_like(strips[0][:GRID_PADDING], 255)
    return images.save_png(np.concatenate([*strips, last]), path)


def draw_animation(run: Run, path: Path) -> Path:
    """Show the sample grids one after the other, as a GIF that repeats and rests at the last.

    Args:
        run: with sample grids.
        path: of the GIF.
    """
    frames = [_resized(grid) for grid in _grids(run, FRAMES)]
    if not frames:
        return path
    gif = io.BytesIO()
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    frames[0].save(
        gif, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False
    )
    write_atomically(path, gif.getvalue())
    return path


def _grids(run: Run, at_most: int) -> Iterator["Image"]:
    """So many sample grids, evenly chosen, the first and the last among them."""
    from PIL import Image

    files = sorted(run.samples.glob("step-*.png"))
    for place in sorted({round(place) for place in np.linspace(0, len(files) - 1, at_most)} if files else ()):
        # A grid that a full disk cut short is no reason to fail after training.
        with contextlib.suppress(OSError, SyntaxError), Image.open(files[place]) as picture:
            picture.load()
            yield picture


def _resized(grid: "Image") -> "Image":
    from PIL import Image

    smallest, largest = FRAME_SIDES
    side = max(grid.size)
    if side > largest:
        factor = largest / side
        return grid.resize((round(grid.width * factor), round(grid.height * factor)), Image.Resampling.BOX)
    times = max(1, -(-smallest // side))
    return grid.resize((grid.width * times, grid.height * times), Image.Resampling.NEAREST)
