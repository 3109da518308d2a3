"""What is wrong with a running server."""

from collections.abc import Iterator

from gannet_client.commands.options import Connection
from gannet_client.contract import CARD
from gannet_client.errors import GannetError
from gannet_client.schema import AVAILABLE
from gannet_serving.production.doctor.finding import Finding


def in_server(connection: Connection) -> Iterator[Finding]:
    """Asks a running server for the versions of a model, and for what it can be asked.

    Raises:
        UsageError: The connection cannot be tried, as a certificate is not there.
    """
    place = f"{connection.model} at {', '.join(connection.servers)}"
    with connection.client() as client:
        try:
            states = client.status()
            for state in states:
                if state.code != "OK":
                    cure = "read the server's log; a version that failed must come under a new number"
                    yield Finding("error", place, f"{state}", cure)
            if not any(state.state == AVAILABLE for state in states):
                seen = ", ".join(map(str, states)) or "none"
                yield Finding("error", place, f"no version serves: {seen}", "wait, or read the server's log")
            elif CARD not in client.metadata():
                what = "the highest version lacks the signatures of Gannet"
                yield Finding("warning", place, what, "ask it by Client.predict")
        except GannetError as error:
            cure = "check the address, the name, the certificates and the configuration of the server"
            yield Finding("error", place, str(error), cure)
