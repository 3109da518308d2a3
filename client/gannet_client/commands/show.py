"""`gannet show`: how an image was drawn."""

import json
from pathlib import Path

import click

from gannet_client.commands.options import as_json
from gannet_client.record import Record
from gannet_client.terminal import printable


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def show(file: Path, as_json: bool) -> None:
    """Print how the image in a PNG FILE was drawn, and the command that draws it again.

    Every file of gannet generate and Generation.save() tells it.
    """
    record = Record.of_file(file)
    command = record.command()
    if as_json:
        click.echo(json.dumps({**record.as_dict(), "command": command}))
        return
    for name, value in record.as_dict().items():
        if name != "format":
            click.echo(printable(f"{name:<11}  {value if isinstance(value, str) else json.dumps(value)}"))
    click.echo(printable(f"{'again':<11}  {command or 'not without the noise that its caller sent'}"))
