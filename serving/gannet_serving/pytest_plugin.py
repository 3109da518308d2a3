"""The pytest fixture `gannet_server`; pytest finds it by itself where Gannet is installed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gannet_serving.local_server import LocalServer


@pytest.fixture(scope="session")
def gannet_server() -> "Iterator[Callable[[str | Path], LocalServer]]":
    """Serves a directory of models over gRPC and REST until the session ends.

    Call it with the directory; the same directory gives the same server:

        def test_digits(gannet_server):
            server = gannet_server("models")
            with Client(server.target, model="digits") as client: ...
    """
    from gannet_serving.local_server import LocalServer

    with ExitStack() as stack:
        servers: dict[Path, LocalServer] = {}

        def serve(models: str | Path) -> LocalServer:
            directory = Path(models).absolute()
            if directory not in servers:
                servers[directory] = stack.enter_context(LocalServer(directory, rest=True))
            return servers[directory]

        yield serve
