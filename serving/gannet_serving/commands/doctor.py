"""`gannet doctor`: what is wrong with what a server is given."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gannet_client.errors import UsageError
from gannet_client.terminal import printable

if TYPE_CHECKING:
    from gannet_serving.production.findings import Finding


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[MODELS|SERVING.TOML]...")
@click.option("--server", metavar="HOST:PORT", help="A running server, asked for each --model.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Of the server.")
@click.option("--image", envvar="GANNET_SERVING_IMAGE", metavar="IMAGE", help="In place of that of the file.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(
    paths: tuple[Path, ...], server: str | None, models: tuple[str, ...], image: str | None, as_json: bool
) -> int:
    """Tell what is wrong with models directories, configurations or a running server, and what to do.

    Ends with 1 if something is not served for it, with 0 otherwise.
    """
    if bool(server) != bool(models) or not (paths or server):
        raise UsageError("expected directories, configurations, or --server HOST:PORT with --model NAME")
    findings = list(_find(paths, server, models, image))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            line = f"{finding.level}: {finding.place}: {finding.what}; {finding.cure}"
            click.echo(printable(line))
        if not findings:
            click.echo("nothing is wrong", err=True)
    return int(any(finding.level == "error" for finding in findings))


def _find(
    paths: tuple[Path, ...], server: str | None, models: tuple[str, ...], image: str | None
) -> "Iterator[Finding]":
    from gannet_client.extras import require

    require("serve", "pydantic", "tensorflow_serving")
    from gannet_serving.production.findings import in_models, in_server, in_settings

    for path in paths:
        yield from in_settings(path, image) if path.suffix == ".toml" else in_models(path)
    for model in models:
        yield from in_server(server or "", model)
