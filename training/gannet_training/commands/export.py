"""`gannet export`."""

from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--models", required=True, type=click.Path(path_type=Path), help="Models directory; made if missing."
)
@click.option("--name", required=True, help="Name of the model.")
@click.option("--version", type=int, help="Number to take.  [default: the next free one]")
@click.option(
    "--checkpoint",
    default="latest",
    show_default=True,
    help="latest, best (by the run's --best-metric) or the number of a step.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the convolutions.",
)
@click.option("--plain", is_flag=True, help="Export the graph as Keras has it.")
@click.option("--strict", is_flag=True, help="Refuse where bfloat16 draws other images, instead of float32.")
def export(run: Path, models: Path, name: str, version: int | None, checkpoint: str, **graph: Any) -> None:
    """Export a run's checkpoint as a version that TensorFlow Serving serves.

    The version is checked before it appears; a failed check publishes nothing.
    """
    from gannet_training.run import Run

    opened = Run.open(run)
    opened.checkpoint(checkpoint)

    from gannet_training.startup import start_log, start_tensorflow, stop_on_sigterm

    stop_on_sigterm()
    start_log()
    start_tensorflow()
    from gannet_training.exporting import export_run

    click.echo(export_run(opened, models, name, version=version, checkpoint=checkpoint, **graph))
    click.echo(f"next: gannet serve {models}", err=True)
