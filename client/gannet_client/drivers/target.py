"""Addresses of servers: gRPC takes nearly any text for one, and fails late or talks to another port."""

import re
from ipaddress import ip_address
from typing import Final

from gannet_client.errors import UsageError

_NETWORK: Final = re.compile(
    r"(?:dns:(?://[^/]*/)?|ipv[46]:)?(?:\[(?P<ipv6>[^\[\]/]+)\]|(?P<host>[^:/\[\]]+)):(?P<port>[0-9]{1,5})"
)
_SOCKET: Final = re.compile(r"unix(?:-abstract)?:.+")
_PORTS: Final = range(1, 1 << 16)


def require_target(target: str) -> None:
    """Refuses what is no address of a server.

    Args:
        target: `host:port`, also behind gRPC's `dns:`, `dns://resolver/`, `ipv4:` or `ipv6:`, or `unix:path`.

    Raises:
        UsageError: It has another form, holds white space or what is no text, or the port is out of range.

    >>> require_target("[::1]:8500")
    """
    if not isinstance(target, str) or not target.isprintable() or " " in target or not _has_form(target):
        raise UsageError(
            f"the address of a server has the form HOST:PORT with a port from 1 to 65535; received {target!r}"
        )


def is_loopback(target: str) -> bool:
    """Whether the address is one of this machine's loopback interface.

    >>> is_loopback("localhost:8500"), is_loopback("[::1]:8500"), is_loopback("example.org:8500")
    (True, True, False)
    """
    match = _NETWORK.fullmatch(target)
    host = match and (match["ipv6"] or match["host"])
    if not host:
        return False
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _has_form(target: str) -> bool:
    match = _NETWORK.fullmatch(target)
    return int(match["port"]) in _PORTS if match else _SOCKET.fullmatch(target) is not None
