"""The pictures that sum up a run: its losses, and the same latents over time."""

import contextlib
from pathlib import Path

import numpy as np

from gannet_client import images
from gannet_training.run import Run
from gannet_training.sampling import GRID_PADDING

PROGRESS_ROWS = 8
_CURVES = {"d_loss": "discriminator", "g_loss": "generator"}


def draw_losses(run: Run, path: Path) -> Path:
    """Draw the loss of both networks against the step, as a PNG.

    Args:
        run: with at least one epoch behind it.
        path: of the PNG; its directory is made.
    """
    from matplotlib.figure import Figure

    records = list(run.read_metrics())
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for name, label in _CURVES.items():
        axes.plot([record["step"] for record in records], [record[name] for record in records], label=label)
    axes.set(xlabel="step", ylabel="loss (mean of the epoch)", title=f"Losses of {run.path.name}")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def draw_progress(run: Run, path: Path) -> Path:
    """Stack the first row of several sample grids: each column is one latent, improving downwards.

    Args:
        run: with sample grids.
        path: of the PNG; its directory is made.
    """
    from PIL import Image, UnidentifiedImageError

    grids = sorted(run.samples.glob("step-*.png"))
    chosen = sorted({round(place) for place in np.linspace(0, len(grids) - 1, PROGRESS_ROWS)})
    height = run.config().image_size + GRID_PADDING
    strips = []
    for place in chosen:
        # A grid that a full disk cut short is no reason to fail after training.
        with contextlib.suppress(UnidentifiedImageError), Image.open(grids[place]) as picture:
            strips.append(np.atleast_3d(np.asarray(picture))[:height])
    if not strips:
        return path
    last = np.full_like(strips[0][:GRID_PADDING], 255)
    return images.save_png(np.concatenate([*strips, last]), path)
