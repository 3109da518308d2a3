"""`gannet ready`: a probe."""

import time
from typing import Final

import click

from gannet_client.commands.options import Connection, connected
from gannet_client.errors import GannetError, ModelError

_PAUSE: Final = 0.2


@click.command()
@connected(5.0, "Limit for each server's answer.")
@click.option("--version", type=int, metavar="N", help="The version that must be ready; by default any.")
@click.option("--wait", type=float, default=0.0, metavar="SECONDS", help="How long to ask again.")
def ready(connection: Connection, version: int | None, wait: float) -> None:
    """Tell by the exit code whether a model can be asked for images on every server.

    0: it can. 3: nothing answers. 4: it is not served, or not in that version. 124: no answer in time.
    """
    end = time.monotonic() + wait
    while True:
        try:
            click.echo(", ".join(_probe(connection, server, version) for server in connection.servers))
            return
        except GannetError as error:
            may_come = error.retryable or isinstance(error, ModelError)
            if not may_come or time.monotonic() >= end:
                raise
        time.sleep(min(_PAUSE, max(end - time.monotonic(), 0)))


def _probe(connection: Connection, server: str, version: int | None) -> str:
    from gannet_client.schema import AVAILABLE
    from gannet_client.settings import NO_RETRY

    with connection.client(target=server, retry=NO_RETRY) as client:
        states = client.status()
    ready = [
        state.version for state in states if state.state == AVAILABLE and version in (None, state.version)
    ]
    if ready:
        return f"model {connection.model!r} version {max(ready)} at {server} is ready"
    wanted = "any version" if version is None else f"version {version}"
    seen = ", ".join(map(str, states)) or "none"
    raise ModelError(
        f"model {connection.model!r} at {server}: expected {wanted} to be AVAILABLE; found {seen}"
    )
