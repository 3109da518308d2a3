"""`gannet train`."""

import functools
import json
import shlex
import time
from pathlib import Path
from typing import Any

import click

from gannet_training.imports import is_reference
from gannet_training.settings import merge_settings, read_options, read_settings, setting_options

ON_SYMPTOM = ("warn", "stop", "roll-back")
STRATEGIES = ("auto", "single", "mirrored", "multiworker")


@click.command()
@click.argument("model")
@click.option(
    "--data", envvar="GANNET_DATA_SET", help="Data set to learn from, for example digits or folder:PATH."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run directory.")
@click.option("--set", "options", multiple=True, metavar="K=V", help="Argument for a model of your own.")
@click.option(
    "--conditional",
    is_flag=True,
    default=None,
    envvar="GANNET_CONDITIONAL",
    help="A model of your own takes classes=K and learns the classes of the data set.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="TOML file of settings, or a run's config.json; flags go first.",
)
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default="auto",
    show_default=True,
    help="Devices to use; auto takes all workers of TF_CONFIG, or all GPUs, where there are several.",
)
@click.option("--replicas", type=click.IntRange(1, 1024), help="Devices to mirror over.  [default: all GPUs]")
@click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds to wait for the other workers of TF_CONFIG.",
)
@click.option(
    "--checkpoint-every", type=click.IntRange(min=1), default=500, show_default=True, help="In steps."
)
@click.option(
    "--on-symptom",
    type=click.Choice(ON_SYMPTOM),
    default="warn",
    show_default=True,
    help="What to do when training goes wrong; a term that is not finite stops it in any case.",
)
@click.option(
    "--roll-backs",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Stop after so many, with --on-symptom roll-back.",
)
@click.option("--fresh", is_flag=True, help="Delete an existing run in --out and start anew.")
@click.option("--dry-run", is_flag=True, help="Print what would be trained, as JSON, and stop.")
@setting_options
def train(
    out: Path,
    config: Path | None,
    strategy: str,
    replicas: int | None,
    wait: float,
    checkpoint_every: int,
    on_symptom: str,
    roll_backs: int,
    fresh: bool,
    dry_run: bool,
    options: tuple[str, ...],
    **flags: Any,
) -> None:
    """Train a GAN and write a run directory.

    MODEL is a preset, for example dcgan, or a factory of your own, package.module:factory. A run that was
    interrupted goes on from its last checkpoint, and a complete one when --steps grows. --data and the
    options from --image-size down can stand in the file of --config, or in the environment as GANNET_NAME
    (GANNET_DATA_SET for --data). With TF_CONFIG in the environment of several machines, the same command on
    each of them trains one model.
    """
    from gannet_training.cluster import choose_cluster
    from gannet_training.run import Run

    flags["options"] = read_options(options)
    settings = merge_settings(read_settings(config) if config else {}, flags)
    cluster = None if dry_run else choose_cluster(strategy)

    @functools.cache
    def devices() -> Any:
        from gannet_training.startup import start_log, start_tensorflow, stop_on_signals

        stop_on_signals()
        start_log()
        start_tensorflow()
        if dry_run:
            return None
        from gannet_training.strategy import strategy as choose

        return choose(strategy, replicas, settings=_agreed(settings), wait=wait)

    if is_reference(str(settings.get("data"))):
        # It may use TensorFlow, whose devices can be chosen before its first operation only.
        devices()
    resolved = _resolve(settings)
    if cluster is None or cluster.is_chief:
        Run(out).check(resolved, fresh=fresh)
    chosen = devices()

    from gannet_training.plan import plan
    from gannet_training.trainer import train as train_run

    if dry_run:
        click.echo(json.dumps(plan(resolved), indent=2))
        return
    started = time.perf_counter()
    run = train_run(
        resolved,
        out,
        strategy=chosen,
        fresh=fresh,
        checkpoint_every=checkpoint_every,
        on_symptom=on_symptom,
        roll_backs=roll_backs,
    )
    if cluster is not None and not cluster.is_chief:
        return
    click.echo(f"{run.path} is at step {resolved.steps} after {time.perf_counter() - started:.0f} s")
    click.echo(f"next: gannet export {shlex.quote(str(run.path))} --models MODELS --name NAME", err=True)


def _agreed(settings: dict[str, Any]) -> dict[str, Any]:
    """What every worker of a job must have in common."""
    from importlib.metadata import version

    from gannet_client import __version__

    return {**settings, "gannet": __version__, "tensorflow": version("tensorflow"), "keras": version("keras")}


def _resolve(settings: dict[str, Any]) -> Any:
    from gannet_client.errors import UsageError
    from gannet_training.config import TrainConfig
    from gannet_training.data import data_format
    from gannet_training.models import is_conditional, require_model

    if "data" not in settings:
        raise UsageError("expected a data set, received none; pass --data, for example --data digits")
    require_model(settings["model"])
    images = data_format(settings["data"])
    known: dict[str, Any] = {"image_size": images.image_size, "channels": images.channels}
    settings = {**settings}
    asked = settings.pop("conditional", False)
    if not isinstance(asked, bool):
        raise UsageError(f"conditional: expected true or false, received {asked!r}")
    if is_conditional(settings["model"], asked):
        known["class_names"] = _class_names(settings["model"], settings["data"])
    return TrainConfig.parse({**known, **settings})


def _class_names(model: str, data: str) -> tuple[str, ...]:
    from gannet_client.errors import UsageError
    from gannet_training.data import class_names

    names = class_names(data)
    if not names:
        raise UsageError(
            f"{model} learns classes, and {data} has none; choose a data set with labels, for example digits "
            "or a folder of one folder per class"
        )
    return names
