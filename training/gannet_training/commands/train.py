"""`gannet train`."""

import time
from pathlib import Path
from typing import Any

import click

STRATEGIES = ("auto", "single", "mirrored")


@click.command()
@click.argument("model")
@click.option("--data", required=True, help="Data set to learn from, for example digits.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run directory.")
@click.option("--steps", type=int, default=10_000, show_default=True, help="Generator updates in all.")
@click.option("--batch-size", type=int, help="Images per step, over all replicas.  [default: 64]")
@click.option("--seed", type=int, help="Of weights, data order and noise.  [default: 0]")
@click.option("--image-size", type=int, help="Side of the images in pixels.  [default: the data set's]")
@click.option("--latent-dim", type=int, help="Width of the noise.  [default: 100]")
@click.option("--width", type=int, help="Feature maps beside the image; more further in.  [default: 64]")
@click.option("--learning-rate", type=float, help="Of Adam, for both networks.  [default: 0.0002]")
@click.option("--label-smoothing", type=float, help="One-sided, 0 to 1.  [default: 0]")
@click.option("--ema-half-life", type=float, help="Of the generator's average, in images.  [default: 10000]")
@click.option(
    "--strategy", type=click.Choice(STRATEGIES), default="auto", show_default=True, help="Devices to use."
)
@click.option("--replicas", type=click.IntRange(min=1), help="Devices to mirror over.  [default: all GPUs]")
@click.option("--fresh", is_flag=True, help="Delete an existing run in --out and start anew.")
def train(
    model: str, data: str, out: Path, strategy: str, replicas: int | None, fresh: bool, **settings: Any
) -> None:
    """Train a GAN and write a run directory.

    MODEL is a preset, for example dcgan. A run that was interrupted goes on from its last checkpoint, and a
    complete one when --steps grows.
    """
    from gannet_training.choices import choose
    from gannet_training.config import TrainConfig
    from gannet_training.data import data_set
    from gannet_training.models import MODELS
    from gannet_training.run import Run

    choose("model", model, MODELS)
    source = data_set(data)
    given = {name: value for name, value in settings.items() if value is not None}
    config = TrainConfig.parse(
        {"model": model, "data": data, "image_size": source.image_size, "channels": source.channels, **given}
    )
    Run(out).check(config, fresh=fresh)

    from gannet_training.startup import start_tensorflow

    start_tensorflow()
    from gannet_training import strategy as strategies
    from gannet_training.trainer import train as train_run

    started = time.perf_counter()
    run = train_run(config, out, strategy=strategies.strategy(strategy, replicas), fresh=fresh)
    click.echo(f"{run.path} is at step {config.steps} after {time.perf_counter() - started:.0f} s")
    click.echo(f"next: gannet export {run.path} --models MODELS --name NAME", err=True)
