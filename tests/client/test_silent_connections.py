"""Connections that nobody answers on, without a word of it: they are given up, or left for new ones."""

import asyncio
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gannet_client import NO_RETRY, AsyncClient, Client, RequestTimeout, Retry, ServerUnreachable
from tests.client.toxic import START, ToxicProxy

BOUND = 20.0
"""Seconds in which a call over a connection that works is answered, on the slowest machine."""


def test_a_connection_that_is_taken_up_and_never_answered_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with Client(target, model="digits", timeout=30, retry=NO_RETRY) as client:
            with pytest.raises(ServerUnreachable, match="no server answers") as caught:
                client.status()
            assert (caught.value.endpoint, caught.value.attempts) == (target, 1)


def test_a_connection_that_fell_silent_is_left(proxy: ToxicProxy, fake: Any) -> None:
    with Client(proxy.target, model="digits") as client:
        client.generate(1)
        proxy.mute()
        for _ in range(2):
            with pytest.raises(RequestTimeout):
                client.generate(1, timeout=0.5)
        assert len(client.generate(64, timeout=BOUND)) == 64
        proxy.mute()
        patient = client.with_options(retry=Retry(attempts=20, first=0.01, attempt_timeout=0.5))
        with patient:
            assert patient.generate(64, timeout=BOUND).attempts >= 3


def test_the_asynchronous_client_leaves_it_too(proxy: ToxicProxy) -> None:
    async def use() -> None:
        async with AsyncClient(proxy.target, model="digits") as client:
            await client.generate(1)
            proxy.mute()
            for _ in range(2):
                with pytest.raises(RequestTimeout):
                    await client.generate(1, timeout=0.5)
            assert len(await client.generate(64, timeout=BOUND)) == 64
            proxy.mute()
            retry = Retry(attempts=20, first=0.01, attempt_timeout=0.5)
            async with client.with_options(retry=retry) as patient:
                assert (await patient.generate(64, timeout=BOUND)).attempts >= 3

    asyncio.run(use())


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone can end such a connection")
def test_what_nothing_acknowledges_ends_though_other_servers_answer(target: str) -> None:
    port = int(target.rpartition(":")[2])
    with Client(f"dns:///localhost:{port}", model="digits") as client:
        client.status()
        assert patience_with(port) == {20_000}


def patience_with(port: int) -> set[int]:
    """The milliseconds that this process' connections to a port may pass without an acknowledgement."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the directory itself is among them, and closed by now
            if entry.readlink().name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as one:
                    if one.family != socket.AF_UNIX and one.getpeername()[1] == port:
                        found.add(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return found


def test_a_connection_that_is_slow_to_come_is_waited_for(proxy: ToxicProxy) -> None:
    proxy.toxin = "slow_start"
    with Client(proxy.target, model="digits", timeout=START / 4, retry=NO_RETRY) as client:
        end, answered = time.monotonic() + BOUND, False
        while not answered and time.monotonic() < end:
            with suppress(RequestTimeout):
                answered = client.status() != []
        assert answered


def test_calls_under_way_end_on_the_connection_that_was_left(target: str, fake: Any) -> None:
    with Client(target, model="digits") as client, ThreadPoolExecutor(1) as pool:
        client.generate(1)
        fake.release.clear()
        seen = len(fake.requests)
        slow = pool.submit(client.generate, 1, timeout=BOUND)
        while len(fake.requests) == seen:
            time.sleep(0.01)
        for _ in range(3):
            with pytest.raises(RequestTimeout):
                client.status(timeout=0.3)
        fake.release.set()
        assert slow.result().attempts == 1 and client.wait_ready() == 1

    async def use() -> None:
        async with AsyncClient(target, model="digits") as client:
            await client.generate(1)
            fake.release.clear()
            seen = len(fake.requests)
            slow = asyncio.create_task(client.generate(1, timeout=BOUND))
            while len(fake.requests) == seen:
                await asyncio.sleep(0.01)
            for _ in range(3):
                with pytest.raises(RequestTimeout):
                    await client.status(timeout=0.3)
            fake.release.set()
            assert (await slow).attempts == 1 and await client.wait_ready() == 1

    asyncio.run(use())
