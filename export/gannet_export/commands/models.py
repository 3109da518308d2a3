"""`gannet models`: what lies in a models directory."""

import json
from pathlib import Path
from typing import Any

import click

from gannet_client.errors import ModelError, UsageError
from gannet_client.terminal import printable

_models = click.argument("models", type=click.Path(path_type=Path))
_as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def models() -> None:
    """List, show, verify and remove the versions of a models directory."""


@models.command()
@_models
@_as_json
def ls(models: Path, as_json: bool) -> None:
    """List every version of every model."""
    from dataclasses import asdict

    from gannet_export.commands.texts import print_table
    from gannet_export.listing import listed

    rows = list(listed(models))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
    elif rows:
        print_table(rows)
    else:
        click.echo(_nothing(models), err=True)


@models.command()
@_models
@click.argument("model", metavar="NAME[/VERSION]")
@_as_json
def show(models: Path, model: str, as_json: bool) -> None:
    """Show the card of a version, the newest if none is named."""
    from gannet_export.commands.texts import card_lines
    from gannet_export.listing import labels_of
    from gannet_export.repository import read_card, read_labels, select

    version = select(models, model)[-1]
    try:
        card = read_card(version.path)
    except ModelError as error:
        raise ModelError(f"{version}: {error}") from error
    labels = labels_of(version, read_labels(models, version.name))
    about = {"name": version.name, "version": version.number, "labels": labels}
    if as_json:
        click.echo(json.dumps({**about, "card": card}))
    else:
        click.echo("\n".join([*card_lines(about), *card_lines(card)]))


@models.command()
@_models
@click.argument("model", metavar="[NAME[/VERSION]]", required=False)
@_as_json
def verify(models: Path, model: str | None, as_json: bool) -> int:
    """Read every file and load every graph again.

    All versions of the directory, or of the model, or the one that is named. Loading a graph, as TensorFlow
    Serving does, runs what it asks for. Prints a line for each finding; the exit code is 4 if there is any,
    or no version to read.
    """
    from gannet_client.native_log import quiet_native_log
    from gannet_export.repository import select
    from gannet_export.verification import wrong_files, wrong_graph

    rows: list[dict[str, Any]] = []
    for version in select(models, model):
        with quiet_native_log():
            findings = wrong_files(version.path) + wrong_graph(version.path)
        rows.append({"name": version.name, "version": version.number, "findings": findings})
        if not as_json:
            click.echo("\n".join(printable(f"{version}: {finding}") for finding in findings or ["ok"]))
    if as_json:
        click.echo(json.dumps(rows))
    if not rows:
        raise ModelError(_nothing(models))
    return ModelError.exit_code if any(row["findings"] for row in rows) else 0


@models.command()
@_models
@click.argument("model", metavar="[NAME]", required=False)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Versions of each model that stay, those with the highest numbers.",
)
@click.option(
    "--server",
    envvar="GANNET_SERVER",
    metavar="HOST:PORT",
    show_envvar=True,
    help="Keep what this server has in service, too; all of a model that it does not know.",
)
@click.option("--server-name", metavar="NAME", help="What the server calls the one model that is named.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@_as_json
def gc(
    models: Path,
    model: str | None,
    keep: int,
    server: str | None,
    server_name: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove old versions and leavings of killed exports.

    Of each model, or of the one that is named, the N highest versions stay, besides the newest that is good,
    those that labels.json names, and those in service.
    """
    from gannet_export.collection import collect
    from gannet_export.commands.texts import collected_lines
    from gannet_export.repository import model_names, require_model, versions

    if server_name is not None and (model is None or server is None):
        raise UsageError("--server-name is for one model and a server: pass NAME and --server HOST:PORT, too")
    names = model_names(models) if model is None else [require_model(models, model)]
    collected = collect(models, names, keep, server=server, server_name=server_name, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, **collected.as_json(models)}))
    else:
        for line in collected_lines(collected, models, dry_run):
            click.echo(line)
        if model is None and not any(versions(models, name) for name in names):
            click.echo(_nothing(models), err=True)
    for error in collected.stopped:
        click.echo(printable(f"gannet: {error}"), err=True)
    return collected.stopped[0].exit_code if collected.stopped else 0


def _nothing(models: Path) -> str:
    from gannet_export.repository import version_number

    if any(version_number(entry.name) is not None for entry in models.iterdir()):
        return f"{models} holds versions, not models; pass the directory above it"
    return f"no version in {models}, expected {models}/NAME/1; `gannet export` writes one"
