"""What an operation of the client asks of the world.

An operation is a generator: it yields effects, is sent what came of them, and returns its result. It does no
I/O, so that a thread, an event loop or a test can drive the same one; `Client` and `AsyncClient` are two
drivers of them.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Send one request; answered by the bytes of the response, or a `Failure`."""

    endpoint: str
    method: str
    request: bytes
    timeout: float
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass; answered by None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Gather:
    """Run operations side by side; answered by the list of their results, in order.

    The first error ends those that are still under way and is thrown into the operation.
    """

    operations: "Iterable[Operation[Any]]"


Effect: TypeAlias = Call | Sleep | Gather
Operation: TypeAlias = Generator[Effect, Any, T]
