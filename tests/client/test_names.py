"""A name that stands for several servers."""

import socket
import struct
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest

from gannet_client import Client

HOSTS = ("127.0.0.1", "127.0.0.2")
_ADDRESS_RECORD, _INTERNET, _IS_ANSWER = 1, 1, 0x8180


def answer_to(query: bytes) -> bytes:
    """The message of DNS that gives `HOSTS` for whatever name is asked for, and no addresses of IPv6."""
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack(">H", query[end - 4 : end - 2])
    hosts = HOSTS if kind == _ADDRESS_RECORD else ()
    head = query[:2] + struct.pack(">HHHHH", _IS_ANSWER, 1, len(hosts), 0, 0)
    name_of_the_question = b"\xc0\x0c"
    record = name_of_the_question + struct.pack(">HHIH", _ADDRESS_RECORD, _INTERNET, 60, 4)
    return head + query[12:end] + b"".join(record + socket.inet_aton(host) for host in hosts)


@pytest.fixture
def resolver() -> Iterator[str]:
    """The address of a name server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                query, sender = asked.recvfrom(4096)
                if not query:
                    return
                asked.sendto(answer_to(query), sender)

        thread = Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{asked.getsockname()[1]}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", asked.getsockname())
        thread.join()


def test_each_server_behind_a_name_gets_its_turn(
    resolver: str, start: Callable[..., Any], fake: Any, drawn: Callable[..., Any]
) -> None:
    second = type(fake)()
    first = start(fake, 0, HOSTS[0])
    other = start(second, first.port, HOSTS[1])
    with Client(f"dns://{resolver}/serving.test:{first.port}", model="digits", chunk_rows=1) as client:
        client.wait_ready(timeout=30)
        while not (fake.requests and second.requests):  # a connection may take a while
            client.status()
        before = len(fake.requests), len(second.requests)
        images = client.generate(seeds=range(40)).array
        assert (images == drawn(range(40), 1)).all()
        calls = len(fake.requests) - before[0], len(second.requests) - before[1]
        assert sum(calls) >= 40
        assert min(calls) >= 15
        other.stop()
        assert (client.generate(seeds=range(40)).array == images).all()
