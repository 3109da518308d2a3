"""Options that several commands have: which servers and which model, over which connection."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gannet_client import contract
from gannet_client.errors import UsageError

if TYPE_CHECKING:
    from gannet_client.async_client import AsyncClient
    from gannet_client.client import Client

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FILE: Final = click.Path(path_type=Path)


class Target(click.Path):
    """Where to write; not nowhere, as a variable of the shell that is not set would have it."""

    def __init__(self, *, dir_okay: bool = False) -> None:
        super().__init__(dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value as a `Path`."""
        if not value:
            self.fail("expected a path; received nothing", param, ctx)
        return super().convert(value, param, ctx)


@dataclass(frozen=True)
class Connection:
    """How the servers are reached, and which model is asked.

    Attributes:
        servers: Their addresses.
        model: The name of the model.
        timeout: Seconds for a call.
        tls: Whether the connection is encrypted.
        authority: The certificates that the servers' must be signed by; None: those that gRPC brings.
        certificate: The caller's own; None: none.
        key: The private key of `certificate`.
        token: Sent with each request, encrypted alone; None: none. It is taken from the environment,
            GANNET_TOKEN, alone: other users of the machine can read arguments.
    """

    servers: tuple[str, ...]
    model: str
    timeout: float
    tls: bool
    authority: Path | None
    certificate: Path | None
    key: Path | None
    token: str | None = field(default_factory=lambda: os.environ.get("GANNET_TOKEN") or None)

    def __post_init__(self) -> None:
        if not self.servers:  # GANNET_SERVER may hold spaces alone
            raise UsageError("expected the address of at least one server; received none")

    def client(self, **options: Any) -> "Client":
        """A client for all servers; `options` are further ones of `Client`."""
        from gannet_client.client import Client

        return Client(**{**self._options(), **options})

    def async_client(self, **options: Any) -> "AsyncClient":
        """An asynchronous client; otherwise as `client`."""
        from gannet_client.async_client import AsyncClient

        return AsyncClient(**{**self._options(), **options})

    def _options(self) -> dict[str, Any]:
        from gannet_client.settings import Tls

        encrypted = self.tls or any((self.authority, self.certificate, self.key))
        if self.token is not None and not encrypted:
            raise UsageError(
                "GANNET_TOKEN is set, and a token is not sent in the clear; pass --tls or unset it"
            )
        return {
            "target": self.servers,
            "model": self.model,
            "timeout": self.timeout,
            "tls": Tls(authority=self.authority, certificate=self.certificate, key=self.key)
            if encrypted
            else None,
            "token": self.token,
        }


_CONNECTION: Final = (
    click.option(
        "--server",
        "servers",
        multiple=True,
        envvar="GANNET_SERVER",
        default=[f"{contract.LOOPBACK}:{contract.GRPC_PORT}"],
        metavar="HOST:PORT",
        show_default=True,
        show_envvar=True,
        help="Where a server listens for gRPC; several serve the same.",
    ),
    click.option(
        "--model",
        envvar="GANNET_MODEL",
        required=True,
        metavar="NAME",
        show_envvar=True,
        help="The name of the served model.",
    ),
)
_ENCRYPTION: Final = (
    click.option("--tls", is_flag=True, help="Encrypt the connection; implied by the three options below."),
    click.option(
        "--ca", "authority", type=_FILE, metavar="FILE", help="Who signs the servers' certificates."
    ),
    click.option(
        "--cert", "certificate", type=_FILE, metavar="FILE", help="The own certificate, with --key."
    ),
    click.option("--key", type=_FILE, metavar="FILE", help="The private key of --cert."),
)


def connected(timeout: float, meaning: str) -> Callable[[_Command], _Command]:
    """Gives a command the options of a connection, which it takes as `connection`.

    Args:
        timeout: The default of `--timeout`, in seconds.
        meaning: What the help says of it.
    """
    limit = click.option(
        "--timeout", type=float, default=timeout, metavar="SECONDS", show_default=True, help=meaning
    )

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def run(**given: Any) -> Any:
            names = ("servers", "model", "timeout", "tls", "authority", "certificate", "key")
            values = {name: given.pop(name) for name in names}
            return command(connection=Connection(**values), **given)

        return _with((*_CONNECTION, *_ENCRYPTION, limit), run)  # type: ignore[return-value]

    return decorate


def encrypted(command: _Command) -> _Command:
    """Gives a command the options of TLS: `tls`, `authority`, `certificate` and `key` of a connection."""
    return _with(_ENCRYPTION, command)


def choosing(command: _Command) -> _Command:
    """Gives a command the options that choose what is drawn, and by which version."""
    options = (
        click.option(
            "--class",
            "classes",
            multiple=True,
            metavar="CLASS",
            help="Class of all images, by name or number; given as often as there are images, that of each.",
        ),
        click.option(
            "--truncation",
            type=float,
            metavar="T",
            help="How far images go from the average one: 0 to 1, 1 is off.",
        ),
        click.option(
            "--codes",
            callback=lambda _, __, text: None if text is None else parse_numbers("codes", text, "0.5,-1,nan"),
            metavar="LIST",
            help="The continuous codes of all images, like 0.5,-1; nan: drawn from the seed.",
        ),
        click.option("--version", type=int, metavar="N", help="The version to ask, instead of the highest."),
        click.option("--version-label", metavar="L", help="The version to ask, by its label."),
        click.option(
            "--value-range",
            callback=lambda _, __, text: tuple(parse_numbers("value range", text, "0,1")),
            default="-1,1",
            show_default=True,
            metavar="LOW,HIGH",
            help="Black and white of a model that Gannet did not export, if it draws floats.",
        ),
    )
    return _with(options, command)


def _with(options: Sequence[Callable[[_Command], _Command]], command: _Command) -> _Command:
    return reduce(lambda done, option: option(done), reversed(options), command)


as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def parse_numbers(name: str, text: str, example: str) -> list[float]:
    """Reads numbers with commas between them.

    >>> parse_numbers("codes", "0.5,-1", "0.5,-1,nan")
    [0.5, -1.0]
    """
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise UsageError(f"{name} {text!r} cannot be read; expected a form like {example}") from None
