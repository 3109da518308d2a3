"""How a client behaves: value objects that are checked once, when they are made."""

import math
import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from gannet_client.checks import check_int64, check_name, check_range, check_seconds, check_text
from gannet_client.drivers.target import require_target
from gannet_client.errors import GannetError, UsageError

Pem: TypeAlias = str | os.PathLike[str] | bytes
"""A PEM file: its path, or its bytes."""
Metadata: TypeAlias = Mapping[str, str]
Token: TypeAlias = str | Callable[[], str]

_MAX_PARALLEL: Final = 64
_LONGEST_PAUSE: Final = 2.0
_SECRET: Final = "authorization"
_KEY: Final = re.compile(r"[0-9a-z_.-]+")
_VALUE: Final = re.compile(r"[ -~]*")


@dataclass(frozen=True, kw_only=True)
class Retry:
    """When a request that failed is sent again: if the server could not be reached or is overloaded.

    The pause before attempt k + 1 is drawn evenly from 0 to `min(first * 2 ** (k - 1), longest)` seconds
    ("full jitter"); a wish of the server, `grpc-retry-pushback-ms`, goes first. There is none before a
    request that goes to another endpoint. No attempt outlasts the deadline of the call.

    All calls of a client and its copies share a budget, so that a server in trouble is not asked several
    times for each call: a request that is sent again to where it was sent before takes one from it, and an
    answer gives a tenth back. While less than half of it is left, none is sent again.

    Attributes:
        attempts: How often a request is sent at most; 1: never again.
        first: Seconds of the longest first pause.
        longest: Seconds of the longest pause of all; by default 2, or `first` where that is more.
        attempt_timeout: Seconds for one attempt, after which another one begins; None: the whole deadline.
            It helps against a server, or a network, that falls silent without closing the connection: after
            the second attempt in a row that nothing answered, the next one goes over a new connection.
        budget: How many requests are repeated, less those given back; at least 1, `math.inf`: any number.
        on_retry: Called before each pause with the error and the seconds of the pause.

    >>> Retry(attempts=5).pause(1) <= 0.1
    True
    """

    attempts: int = 4
    first: float = 0.1
    longest: float | None = None
    attempt_timeout: float | None = None
    budget: float = 100
    on_retry: Callable[[GannetError, float], None] | None = None

    def __post_init__(self) -> None:
        check_int64("attempts", self.attempts, minimum=1)
        if not 0 <= self.first <= self._longest < math.inf:
            raise UsageError(
                "pauses must be 0 <= first <= longest; received "
                f"first={self.first!r}, longest={self.longest!r}"
            )
        if isinstance(self.budget, bool) or not (isinstance(self.budget, int | float) and self.budget >= 1):
            raise UsageError(f"budget must be a number of at least 1; received {self.budget!r}")
        if self.attempt_timeout is not None:
            check_seconds("attempt_timeout", self.attempt_timeout)

    def pause(self, attempt: int) -> float:
        """Draws the seconds between attempt number `attempt` and the next."""
        return random.uniform(0, min(self.first * 2.0 ** min(attempt - 1, 60), self._longest))

    @property
    def _longest(self) -> float:
        return max(_LONGEST_PAUSE, self.first) if self.longest is None else self.longest


NO_RETRY: Final = Retry(attempts=1)
"""The off switch: every request is sent once."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How the connection is encrypted and who proves what by a certificate.

    Attributes:
        authority: The certificates that the server's must be signed by; by default those that gRPC brings.
        certificate: The client's own, for a server that wants one.
        key: The private key of `certificate`.
        server_name: The name to expect in the server's certificate, where it is not that of the address.

    >>> Tls(certificate=b"-----BEGIN CERTIFICATE-----")
    Traceback (most recent call last):
    ...
    gannet_client.errors.UsageError: pass both, certificate and key, or neither
    """

    authority: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise UsageError("pass both, certificate and key, or neither")
        for pem in (self.authority, self.certificate, self.key):
            read_pem(pem)

    def __repr__(self) -> str:  # a key may stand here as bytes
        return f"Tls(server_name={self.server_name!r}, mutual={self.certificate is not None})"


def read_pem(pem: Pem | None) -> bytes | None:
    """The bytes of a PEM file; a file that cannot be read is a UsageError."""
    if pem is None or isinstance(pem, bytes):
        return pem
    try:
        return Path(pem).read_bytes()
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the PEM file {str(pem)!r}: {reason}") from None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a client was told; see `Client`."""

    targets: tuple[str, ...]
    model: str | None
    routing: Path | None
    timeout: float
    max_message_bytes: int
    chunk_rows: int
    parallel: int
    retry: Retry
    pin: bool
    value_range: tuple[float, float]
    tls: Tls | None
    token: Token | None
    metadata: tuple[tuple[str, str], ...]
    interceptors: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.targets:
            raise UsageError("expected the address of at least one server; received none")
        for target in self.targets:
            require_target(target)
        if (self.model is None) == (self.routing is None):
            raise UsageError(
                "pass either model, the name of a served model, or routing; received "
                f"model={self.model!r}, routing={self.routing!r}"
            )
        if self.model is not None:
            check_name(self.model)
        check_seconds("timeout", self.timeout)
        check_range("max_message_bytes", self.max_message_bytes, 1, (1 << 31) - 1)
        check_range("chunk_rows", self.chunk_rows, 1, 1 << 20)
        check_range("parallel", self.parallel, 1, _MAX_PARALLEL)
        self._check_secrets()
        if not _rises(self.value_range):
            raise UsageError(f"value_range must be two numbers that rise; received {self.value_range!r}")

    def _check_secrets(self) -> None:
        for key, value in self.metadata:
            if not _KEY.fullmatch(check_text("metadata", key)) or key.endswith("-bin"):
                raise UsageError(f"a key of metadata is lower-case ASCII; received {key!r}")
            if not _VALUE.fullmatch(check_text("metadata", value)):
                raise UsageError(f"metadata {key!r} must be printable ASCII; received {value!r}")
        secret = self.token is not None or any(key == _SECRET for key, _ in self.metadata)
        if secret and self.tls is None:
            raise UsageError("a token is not sent in the clear; pass tls=Tls(...) as well, or no token")

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a request; the token is asked for each time, because it may have been renewed."""
        if self.token is None:
            return self.metadata
        token = self.token if isinstance(self.token, str) else self.token()
        if not _VALUE.fullmatch(check_text("token", token)):
            raise UsageError("a token must be printable ASCII; received something else")
        return (*self.metadata, (_SECRET, f"Bearer {token}"))


def _rises(values: tuple[float, float]) -> bool:
    try:
        low, high = values
        return -math.inf < low < high < math.inf
    except (TypeError, ValueError):
        return False


def as_targets(target: str | Sequence[str]) -> tuple[str, ...]:
    """One address or several, each once."""
    if isinstance(target, str) or not isinstance(target, Sequence):
        return (target,)
    return tuple(dict.fromkeys(target))
