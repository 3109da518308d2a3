"""A server inside this process, for tests and notebooks."""

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gannet_client.contract import LOOPBACK
from gannet_client.errors import ModelError
from gannet_serving.engine import import_tensorflow
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.process import require_libraries
from gannet_serving.servables import State
from gannet_serving.sources import Directory
from gannet_serving.versions import find_models

if TYPE_CHECKING:
    from gannet_serving.server import ModelServer

_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.2


class LocalServer:
    """Serves every model of a directory on free ports of the loopback interface, while it is open.

    Models and versions that appear later are picked up. The first one in a process imports TensorFlow, which
    takes seconds.

    Attributes:
        target: `HOST:PORT` for gRPC.
        rest_url: `http://HOST:PORT/v1`; empty without REST.

    >>> from gannet_client import Client
    >>> with LocalServer("models") as server:  # doctest: +SKIP
    ...     with Client(server.target, model="digits") as client:
    ...         images = client.generate(16, seed=7)
    """

    def __init__(
        self,
        models: str | Path,
        *,
        rest: bool = False,
        timeout: float = 120.0,
        options: ServerOptions | None = None,
    ) -> None:
        """Loads the models, then opens the ports.

        Args:
            models: The directory that holds them: `models/NAME/VERSION`, as `gannet export` writes it.
            rest: Whether to answer REST as well.
            timeout: Seconds that loading may take.
            options: What else a server can be told; addresses in it do not count.

        Raises:
            ModelError: There is no model, or one of them is not AVAILABLE; every failure is named.
            MissingExtra: The extra `serve` is not installed.
        """
        require_libraries()
        directory = Path(models).absolute()
        wanted = _require_models(directory)
        self.target, self.rest_url = "", ""
        self._server: ModelServer | None = None
        given = replace(options or ServerOptions(), max_num_load_retries=0)
        self._manager: ModelManager | None = ModelManager(Directory(directory, every=_POLL_SECONDS), given)
        self._manager.start()
        try:
            self._manager.wait_until_settled(timeout)
            _require_available(self._manager, wanted, timeout)
            self._listen(self._manager, given, rest)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the server and frees the models; a second time, nothing happens."""
        manager, self._manager = self._manager, None
        if manager is None:
            return
        if self._server:
            self._server.stop(_GRACE_SECONDS)
        manager.stop(_GRACE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self, manager: ModelManager, options: ServerOptions, rest: bool) -> None:
        import_tensorflow()
        from gannet_serving.server import ModelServer

        here = replace(options, host=LOOPBACK, port=0, grpc_socket_path="", rest_api_port=0 if rest else None)
        server = ModelServer(manager, here)
        server.start()
        self._server = server
        self.target = server.address
        self.rest_url = f"http://{server.rest_address}/v1" if rest else ""


def _require_models(directory: Path) -> list[str]:
    try:
        names = sorted(find_models(directory))
    except OSError as error:
        raise ModelError(f"cannot look for models in {directory}: {error.strerror}") from None
    if not names:
        raise ModelError(f"no model in {directory}; expected directories like {directory / 'NAME' / '1'}")
    return names


def _require_available(manager: ModelManager, names: list[str], timeout: float) -> None:
    problems = []
    for name in names:
        statuses = manager.statuses(name)
        if not any(state is State.AVAILABLE for _, state, _ in statuses):
            problems += [
                f"{name} version {number}: {failure or f'{state.name} after {timeout:g} s'}"
                for number, state, failure in statuses
            ] or [f"{name}: not looked at after {timeout:g} s"]
    if problems:
        raise ModelError(f"not every model is AVAILABLE: {'; '.join(' '.join(p.split()) for p in problems)}")
