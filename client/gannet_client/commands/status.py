"""`gannet status`: the versions of a model that servers have."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from gannet_client.commands.options import Connection, as_json, connected
from gannet_client.errors import GannetError
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

    Versions that could not be loaded are shown with the reason. An unloaded version is shown with --all. A
    server that does not answer hides no other; of several errors, the highest exit code is returned.
    """
    answers, errors = _ask(connection)
    found = {
        server: [state for state in states if everything or (state.state, state.code) != _ENDED]
        for server, states in answers.items()
    }
    if as_json:
        servers = {server: [asdict(state) for state in states] for server, states in found.items()}
        click.echo(json.dumps({"model": connection.model, "servers": servers}))
    else:
        _show(connection, found)
    if errors:
        worst = max(errors, key=lambda error: error.exit_code)
        raise type(worst)("\n".join(map(str, errors)))


def _show(connection: Connection, found: "dict[str, list[VersionStatus]]") -> None:
    for server, states in found.items():
        if len(connection.servers) > 1:
            click.echo(server)
        for state in states:
            click.echo(printable(f"{connection.model}, {state}"))


def _ask(connection: Connection) -> "tuple[dict[str, list[VersionStatus]], list[GannetError]]":
    """What each server answers, and the errors of those that do not."""
    found: dict[str, list[VersionStatus]] = {}
    errors: list[GannetError] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(connection.client(target=server)) for server in connection.servers]
        for client in clients:
            try:
                found[client.target] = client.status()
            except GannetError as error:
                errors.append(error)
    return found, errors
