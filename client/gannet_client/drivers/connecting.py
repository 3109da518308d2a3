"""How a channel is opened: what synchronous and asynchronous ones have in common."""

import json
from collections.abc import Sequence
from typing import Final, TypeAlias

import grpc

from gannet_client import __version__
from gannet_client.drivers.target import is_loopback
from gannet_client.errors import UsageError
from gannet_client.settings import Settings, Tls, read_pem

Options: TypeAlias = list[tuple[str, int | str]]

CONNECT_SECONDS: Final = 5
"""How long a connection may take to come about."""

_ROUND_ROBIN: Final = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


def channel_options(settings: Settings, target: str) -> Options:
    """The options of a channel to `target`."""
    options: Options = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.primary_user_agent", f"gannet-client/{__version__}"),
        # A server that starts is found within a second: gRPC's own pauses grow up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # A connection that is taken up and never answered is given up before most deadlines, not after 20 s.
        ("grpc.min_reconnect_backoff_ms", CONNECT_SECONDS * 1000),
        # A name may stand for several servers; each gets its turn.
        ("grpc.service_config", _ROUND_ROBIN),
        # One of them that is silent is hidden by the answers of the others. Where there are pings, gRPC has
        # Linux end a connection on which nothing is acknowledged for so long (TCP_USER_TIMEOUT). More than
        # one ping in five minutes is what servers by default end a connection for.
        ("grpc.keepalive_time_ms", 310_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Attempts are made here, where the deadline and the other endpoints are known.
        ("grpc.enable_retries", 0),
        # No proxy can reach this machine's loopback interface, whatever `http_proxy` says.
        ("grpc.enable_http_proxy", int(not is_loopback(target))),
        # A forked process connects anew, instead of taking its parent's connections from a pool of all.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if settings.tls is not None and settings.tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", settings.tls.server_name))
    return options


def credentials(tls: Tls) -> grpc.ChannelCredentials:
    """What proves who is who.

    Raises:
        UsageError: The PEM files are gone since the client was made.
    """
    return grpc.ssl_channel_credentials(
        root_certificates=read_pem(tls.authority),
        private_key=read_pem(tls.key),
        certificate_chain=read_pem(tls.certificate),
    )


def require_interceptors(interceptors: Sequence[object], kind: type) -> None:
    """Refuses interceptors that a channel would not know, before there is one."""
    for interceptor in interceptors:
        if not isinstance(interceptor, kind):
            name = f"{kind.__module__.partition('._')[0]}.{kind.__qualname__}"
            raise UsageError(f"each interceptor must be a {name}; received {interceptor!r:.80}")


def closed() -> UsageError:
    """What a call of a closed client is told."""
    return UsageError("this client is closed; make a new one")
