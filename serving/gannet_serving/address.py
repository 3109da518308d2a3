"""Addresses to listen on."""

import socket

from gannet_client.errors import UsageError


def joined(host: str, port: int) -> str:
    """`HOST:PORT`, as gRPC and users write it.

    >>> joined("127.0.0.1", 8500), joined("::1", 8500)
    ('127.0.0.1:8500', '[::1]:8500')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_free(host: str, port: int) -> None:
    """Notices before models are loaded for it that an address cannot be had.

    Raises:
        UsageError: It is in use, reserved, not this machine's, or no address at all.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise cannot_listen(joined(host, port), error.strerror) from None
    except UnicodeError:
        raise cannot_listen(joined(host, port), "this is no name of a host") from None


def cannot_listen(address: str, reason: str | None) -> UsageError:
    """The error for an address that cannot be had."""
    return UsageError(f"cannot listen on {address}: {reason or 'refused'}; choose another port or --host")
