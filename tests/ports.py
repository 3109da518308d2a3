"""Ports for servers that a test starts later, or never."""

import random
import socket
from contextlib import suppress

_RANDOM = random.SystemRandom()  # the one of the module is seeded by Hypothesis, in each process alike


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens: below those that Linux gives to whoever asks for any."""
    free: set[int] = set()
    while len(free) < count:
        port = _RANDOM.randrange(15_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            free.add(port)
    return list(free)


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
