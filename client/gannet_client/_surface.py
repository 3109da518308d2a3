"""What `Client` and `AsyncClient` have in common: how they are made, and what they are called."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from gannet_client import contract
from gannet_client.operations.core import Core
from gannet_client.operations.endpoints import Endpoints
from gannet_client.operations.knowledge import Knowledge
from gannet_client.routing import Routes
from gannet_client.settings import Retry, Settings, Tls, Token, as_targets


class Shell(Protocol):
    """What drives the operations of a client."""

    def share(self, parallel: int) -> Any:
        """Another one over the same connections."""


ShellT = TypeVar("ShellT", bound=Shell)


class Surface(Generic[ShellT]):
    """A client without the calls."""

    def __init__(
        self,
        target: str | Sequence[str] = f"{contract.LOOPBACK}:{contract.GRPC_PORT}",
        *,
        model: str | None = None,
        routing: str | PathLike[str] | None = None,
        timeout: float = 30.0,
        max_message_bytes: int = 1 << 28,
        chunk_rows: int = 64,
        parallel: int = 4,
        retry: Retry = Retry(),  # noqa: B008
        pin: bool = False,
        value_range: tuple[float, float] = (-1.0, 1.0),
        tls: Tls | None = None,
        token: Token | None = None,
        metadata: Mapping[str, str] | None = None,
        interceptors: Sequence[Any] = (),
    ) -> None:
        """Checks the settings; the first call connects.

        Args:
            target: `host:port` of the gRPC port, also behind gRPC's `dns:`, `ipv4:` or `ipv6:`; or
                `unix:path`. Several are asked in turn, without those that cannot be reached.
            model: The name under which the model is served.
            routing: In place of `model`: a routing file, see `gannet_client.routing`.
            timeout: Seconds within which a call must be complete, however many requests it takes.
            max_message_bytes: The largest answer to accept.
            chunk_rows: Images of one request; less where the server or `max_message_bytes` asks for it.
            parallel: Requests of one call that are under way at once, at most 64.
            retry: When a request is sent again.
            pin: Whether the version that is found first is asked by every later call.
            value_range: Of the images of a model that Gannet did not export, if they are floats.
            tls: Encrypts the connection.
            token: Sent as `authorization: Bearer TOKEN`; a function is called for each request. Needs `tls`.
            metadata: Sent with every request.
            interceptors: gRPC's, for calls of one request and one response, which they see as bytes: those of
                `grpc` for a `Client`, those of `grpc.aio` for an `AsyncClient`.

        Raises:
            UsageError: An argument is out of range.
        """
        self._settings = Settings(
            targets=as_targets(target),
            model=model,
            routing=None if routing is None else Path(routing),
            timeout=timeout,
            max_message_bytes=max_message_bytes,
            chunk_rows=chunk_rows,
            parallel=parallel,
            retry=retry,
            pin=pin,
            value_range=value_range,
            tls=tls,
            token=token,
            metadata=tuple((metadata or {}).items()),
            interceptors=tuple(interceptors),
        )
        self._endpoints = Endpoints(self._settings.targets)
        self._knowledge = Knowledge()
        self._routes = None if self._settings.routing is None else Routes(self._settings.routing)
        self._core = Core(self._settings, self._endpoints, self._knowledge, self._routes)
        self._shell = self._connect(self._settings)

    @property
    def target(self) -> str:
        """The address of the server; of several, with commas between them."""
        return ",".join(self._settings.targets)

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._core.name()

    def with_options(
        self,
        *,
        model: str | None = None,
        timeout: float | None = None,
        chunk_rows: int | None = None,
        parallel: int | None = None,
        retry: Retry | None = None,
        pin: bool | None = None,
        value_range: tuple[float, float] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Self:
        """A copy that behaves otherwise, over the same connections; each is to be closed.

        Args:
            model: As when a client is made, like all others; None: as before.
            timeout: See above.
            chunk_rows: See above.
            parallel: See above.
            retry: See above; `NO_RETRY` switches it off.
            pin: See above. A copy of a pinned client goes on with its version, unless this is given.
            value_range: See above.
            metadata: See above.

        Raises:
            UsageError: An option is out of range, or this client is closed.
        """
        given = {
            "model": model,
            "timeout": timeout,
            "chunk_rows": chunk_rows,
            "parallel": parallel,
            "retry": retry,
            "pin": pin,
            "value_range": value_range,
            "metadata": None if metadata is None else tuple(metadata.items()),
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if model is not None:
            changes["routing"] = None
        other = copy.copy(self)
        other._settings = settings = replace(self._settings, **changes)
        if model is not None:
            other._routes = None
        if pin is not None:
            other._knowledge = replace(other._knowledge, held={})
        if value_range is not None:
            other._knowledge = replace(other._knowledge, models={})
        other._core = Core(settings, other._endpoints, other._knowledge, other._routes)
        other._shell = self._shell.share(settings.parallel)
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.target!r}, model={self.model!r})"

    @staticmethod
    def _connect(settings: Settings) -> ShellT:
        raise NotImplementedError
