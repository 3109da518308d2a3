"""`gannet export`."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gannet_client import contract
from gannet_client.errors import UsageError

if TYPE_CHECKING:
    from gannet_training.run import Run

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=_PATH, required=False)
@click.option("--keras", type=_PATH, help="A .keras file to export in place of a run.")
@click.option("--saved-model", type=_PATH, help="A SavedModel to export in place of a run, with --signature.")
@click.option("--signature", help="Of the SavedModel: the one that draws images from noise.")
@click.option("--classes", help="Of --keras and --saved-model: names of the classes, by commas.")
@click.option("--codes", type=click.IntRange(0), default=0, help="Of those: how many continuous codes.")
@click.option("--truncation", is_flag=True, help="Of those: the generator can be truncated.")
@click.option("--models", required=True, type=_PATH, help="Models directory; made if missing.")
@click.option("--name", required=True, help="Name of the model.")
@click.option("--version", type=int, help="Number to take.  [default: the next free one]")
@click.option(
    "--checkpoint",
    help="Of a run: latest, best (by the run's --best-metric) or the number of a step.  [default: latest]",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the convolutions.",
)
@click.option("--plain", is_flag=True, help="Export the graph as Keras has it.")
@click.option(
    "--strict", is_flag=True, help="Refuse what cannot be rewritten or halved as asked, instead of less."
)
@click.option(
    "--max-batch",
    type=int,
    default=32,
    show_default=True,
    help="Images of the largest request that servers warm up for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome, a refusal as well, as JSON.")
def export(
    run: Path | None,
    keras: Path | None,
    saved_model: Path | None,
    signature: str | None,
    classes: str | None,
    codes: int,
    truncation: bool,
    checkpoint: str | None,
    as_json: bool,
    **target: Any,
) -> None:
    """Export a generator as a version that TensorFlow Serving serves.

    It comes from RUN, from a .keras file, or from a SavedModel. The version is tried before it appears; one
    that does not pass publishes nothing.
    """
    conditions: dict[str, Any] = {"classes": _names(classes), "codes": codes, "truncation": truncation}
    _require_one_source(run, keras, saved_model, signature)
    _require_fitting(run, checkpoint, any(conditions.values()))
    opened = _open(run, checkpoint or "latest") if run else None
    _start()
    from gannet_export.gate import ExportRefused

    try:
        if opened is not None:
            directory = _export_run(opened, checkpoint or "latest", target)
        else:
            directory = _export_file(keras or saved_model, signature, conditions | target)
    except ExportRefused as refusal:
        if as_json:
            click.echo(json.dumps({"directory": None, "gate": refusal.verdict.json()}, indent=2))
        raise
    click.echo(_as_json(directory) if as_json else directory)
    click.echo(f"next: gannet serve {shlex.quote(str(target['models']))}", err=True)


def _names(classes: str | None) -> list[str]:
    return [] if classes is None else [name.strip() for name in classes.split(",")]


def _require_one_source(
    run: Path | None, keras: Path | None, saved_model: Path | None, signature: str | None
) -> None:
    given = [name for name in (run, keras, saved_model) if name]
    if len(given) != 1:
        raise UsageError(f"expected one of RUN, --keras and --saved-model, received {len(given)} of them")
    if (saved_model is None) != (signature is None):
        raise UsageError("expected --saved-model and --signature together, received one of them")


def _require_fitting(run: Path | None, checkpoint: str | None, conditional: bool) -> None:
    if run and conditional:
        raise UsageError("a run knows its conditions; leave out --classes, --codes and --truncation")
    if checkpoint and not run:
        raise UsageError("a file has no checkpoints; leave out --checkpoint")


def _open(run: Path, checkpoint: str) -> "Run":
    """Complain before TensorFlow is loaded, if there is a reason."""
    from gannet_training.run import Run

    opened = Run.open(run)
    opened.checkpoint(checkpoint)
    return opened


def _start() -> None:
    from gannet_training.startup import start_log, start_tensorflow, stop_on_signals

    stop_on_signals()
    start_log()
    start_tensorflow()


def _export_run(run: "Run", checkpoint: str, target: dict[str, Any]) -> Path:
    from gannet_training.exporting import export_run

    return export_run(run, checkpoint=checkpoint, **target)


def _export_file(path: Path | None, signature: str | None, target: dict[str, Any]) -> Path:
    from gannet_export.importing import export_file

    assert path is not None
    return export_file(path, signature, **target)


def _as_json(directory: Path) -> str:
    card = json.loads((directory / contract.CARD_FILE).read_text(encoding="utf-8"))
    outcome = {"directory": str(directory), "version": int(directory.name), "gate": card["gate"]}
    return json.dumps(outcome, indent=2)
