"""`gannet doctor`: what is wrong with what a server is given."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gannet_client.commands.options import Connection, encrypted
from gannet_client.errors import UsageError
from gannet_client.terminal import printable

if TYPE_CHECKING:
    from gannet_serving.production.doctor.finding import Finding

_TIMEOUT: Final = 10.0


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[MODELS|SERVING.TOML|CONFIG]...")
@click.option("--server", metavar="HOST:PORT", help="A running server, asked for each --model.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Of the server.")
@encrypted
@click.option("--image", envvar="GANNET_SERVING_IMAGE", metavar="IMAGE", help="In place of that of the file.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(
    paths: tuple[Path, ...],
    server: str | None,
    models: tuple[str, ...],
    image: str | None,
    as_json: bool,
    **encryption: Any,
) -> int:
    """Tell what is wrong with models directories, configurations or a running server, and what to do.

    A configuration is the file, or the directory into which it was rendered. Ends with 1 if something is not
    served for what is found, with 0 otherwise.
    """
    if bool(server) != bool(models) or not (paths or server):
        raise UsageError("expected directories, configurations, or --server HOST:PORT with --model NAME")
    connections = [Connection((server or "",), model, _TIMEOUT, **encryption) for model in models]
    findings = list(_find(paths, connections, image))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            line = f"{finding.level}: {finding.place}: {finding.what}; {finding.cure}"
            click.echo(printable(line))
        if not findings:
            click.echo("nothing is wrong", err=True)
    return int(any(finding.level == "error" for finding in findings))


def _find(paths: Iterable[Path], connections: Iterable[Connection], image: str | None) -> "Iterator[Finding]":
    from gannet_client.extras import require

    require("serve", "pydantic", "tensorflow_serving")
    from gannet_serving.production.doctor.models import in_models
    from gannet_serving.production.doctor.server import in_server
    from gannet_serving.production.doctor.settings import in_rendered, in_settings
    from gannet_serving.production.rendering import ARGUMENTS

    for path in paths:
        if path.suffix == ".toml":
            yield from in_settings(path, image)
        else:
            yield from (in_rendered if os.path.isfile(path / ARGUMENTS) else in_models)(path)
    for connection in connections:
        yield from in_server(connection)
