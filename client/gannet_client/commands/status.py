"""`gannet status`: the versions of a model that servers have."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from gannet_client.commands.options import Connection, as_json, connected
from gannet_client.terminal import printable

if TYPE_CHECKING:
    from gannet_client.schema import VersionStatus

_ENDED: Final = ("END", "OK")


@click.command()
@connected(10.0, "Limit for each server's answer.")
@click.option("--all", "everything", is_flag=True, help="Also the versions that were unloaded.")
@as_json
def status(connection: Connection, everything: bool, as_json: bool) -> None:
    """Print the state of a model's versions on every server.

    Versions that could not be loaded are shown with the reason. An unloaded version is shown with --all.
    """
    found = {
        server: [state for state in states if everything or (state.state, state.code) != _ENDED]
        for server, states in _ask(connection).items()
    }
    if as_json:
        servers = {server: [asdict(state) for state in states] for server, states in found.items()}
        click.echo(json.dumps({"model": connection.model, "servers": servers}))
        return
    for server, states in found.items():
        if len(found) > 1:
            click.echo(server)
        for state in states:
            click.echo(printable(f"{connection.model}, {state}"))


def _ask(connection: Connection) -> "dict[str, list[VersionStatus]]":
    found: dict[str, Any] = {}
    for server in connection.servers:
        with connection.client(target=server) as client:
            found[server] = client.status()
    return found
