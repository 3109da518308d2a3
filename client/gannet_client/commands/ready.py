"""`gannet ready`: a probe."""

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from gannet_client.checks import check_seconds
from gannet_client.commands.options import Connection, connected
from gannet_client.errors import GannetError, ModelError

if TYPE_CHECKING:
    from gannet_client.client import Client

_PAUSE: Final = 0.2


@click.command()
@connected(5.0, "Limit for each server's answer.")
@click.option("--version", type=int, metavar="N", help="The version that must be ready; by default any.")
@click.option("--wait", type=float, default=0.0, metavar="SECONDS", help="How long to ask again.")
def ready(connection: Connection, version: int | None, wait: float) -> None:
    """Tell by the exit code whether a model can be asked for images on every server.

    0: it can. 3: nothing answers. 4: it is not served, or not in that version. 124: no answer in time.
    """
    from gannet_client.settings import NO_RETRY

    if wait:
        check_seconds("--wait", wait)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(connection.client(target=server, retry=NO_RETRY))
            for server in connection.servers
        ]
        click.echo(_wait(clients, version, time.monotonic() + wait))


def _wait(clients: "list[Client]", version: int | None, end: float) -> str:
    while True:
        try:
            return ", ".join(_probe(client, version) for client in clients)
        except GannetError as error:
            may_come = error.retryable or isinstance(error, ModelError)
            if not may_come or time.monotonic() >= end:
                raise
        time.sleep(min(_PAUSE, max(end - time.monotonic(), 0)))


def _probe(client: "Client", version: int | None) -> str:
    from gannet_client.schema import AVAILABLE

    states = client.status()
    ready = [
        state.version for state in states if state.state == AVAILABLE and version in (None, state.version)
    ]
    if ready:
        return f"model {client.model!r} version {max(ready)} at {client.target} is ready"
    wanted = "any version" if version is None else f"version {version}"
    seen = ", ".join(map(str, states)) or "none"
    raise ModelError(
        f"model {client.model!r} at {client.target}: expected {wanted} to be AVAILABLE; found {seen}"
    )
