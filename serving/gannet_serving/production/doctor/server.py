"""What is wrong with a running server."""

from collections.abc import Iterator

from gannet_client.commands.options import Connection
from gannet_client.contract import CARD
from gannet_client.errors import GannetError
from gannet_client.schema import AVAILABLE, VersionStatus
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
            serving = max((state.version for state in states if state.state == AVAILABLE), default=-1)
            for state in states:
                if state.code != "OK":
                    yield _failed(place, state, is_past=state.version < serving)
            if serving < 0:
                seen = ", ".join(map(str, states)) or "none"
                yield Finding("error", place, f"no version serves: {seen}", "wait, or read the server's log")
            elif CARD not in client.metadata():
                what = "the highest version lacks the signatures of Gannet"
                yield Finding("warning", place, what, "ask it by Client.predict")
        except GannetError as error:
            cure = "check the address, the name, the certificates and the configuration of the server"
            yield Finding("error", place, str(error), cure)


def _failed(place: str, state: VersionStatus, *, is_past: bool) -> Finding:
    """A server tells of a version that failed until it ends, even when a newer one serves."""
    cure = "read the server's log; a version that failed must come under a new number"
    if is_past:
        return Finding("warning", place, f"{state}", cure)
    at_once = "move it out of the models directory, as TensorFlow Serving does not start again with it"
    return Finding("error", place, f"{state}", f"{at_once}; {cure}")
