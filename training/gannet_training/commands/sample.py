"""`gannet sample`."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--seeds", required=True, help="Numbers and ranges, for example 0-35 or 1,4,9.")
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="CLASS",
    help="Class of all images, by name or number; given as often as there are seeds, that of each.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Directory for one PNG per seed.")
@click.option("--grid", type=click.Path(path_type=Path), help="File for one PNG of all.")
@click.option(
    "--checkpoint",
    default="latest",
    show_default=True,
    help="latest, best (by the run's --best-metric) or the number of a step.",
)
def sample(
    run: Path, seeds: str, classes: tuple[str, ...], out: Path | None, grid: Path | None, checkpoint: str
) -> None:
    """Draw images from a run's checkpoint.

    A model that has classes draws the class from the seed, unless it is given.
    """
    from gannet_client import images
    from gannet_client.conditions import one_or_each, resolve_labels
    from gannet_client.errors import UsageError
    from gannet_client.generation import file_names
    from gannet_client.seeds import parse_seeds
    from gannet_training.data import is_point
    from gannet_training.run import Run

    chosen = parse_seeds(seeds)
    if out is None and grid is None:
        raise UsageError("nothing to write: pass --out DIR, --grid FILE or both")
    opened = Run.open(run)
    opened.checkpoint(checkpoint)
    config = opened.config()
    if is_point((config.image_size, config.image_size, config.channels)):
        raise UsageError(
            f"expected a run that draws images, received {run}, which draws points ({config.data}); "
            f"see the maps in {opened.samples}, or draw points in Python with "
            "gannet_training.sampling.sample_values"
        )
    labels = resolve_labels(one_or_each(classes), config.class_names, len(chosen), f"the run {run}")

    from gannet_training.startup import start_log, start_tensorflow

    start_log()
    start_tensorflow()
    from gannet_training.sampling import sample as draw
    from gannet_training.trainer import load

    model = load(opened, checkpoint)
    drawn = draw(model.ema_generator, chosen, model.latent_dim, classes=model.classes, labels=labels)
    if out is not None:
        for name, image in zip(file_names(chosen, labels), drawn, strict=True):
            click.echo(images.save_png(image, out / name))
    if grid is not None:
        click.echo(images.save_png(images.grid(drawn), grid))
