"""Servers that die, networks that fail, processes that fork: every call returns, and in time."""

import asyncio
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gannet_client import (
    AsyncClient,
    Client,
    GannetError,
    RequestTimeout,
    Retry,
    ServerUnreachable,
)
from gannet_serving.engine import import_tensorflow
from tests.client import served
from tests.client.toxic import ToxicProxy

SERVER = "from gannet_client.cli import main; main()"
CALLS = 1000
BOUND = 20.0
"""Seconds in which a call with a deadline of half a second must have returned, on the slowest machine."""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[tuple[str, "subprocess.Popen[str]"]]]:
    """Three processes that serve one model: their addresses and they."""
    import_tensorflow()
    base = tmp_path / "digits"
    base.mkdir()
    served.write_version(base / "1")
    command = [sys.executable, "-c", SERVER, "serve", str(tmp_path), "--port", "0"]
    logs = [tmp_path.with_name(f"{tmp_path.name}-{number}.log") for number in range(3)]
    processes = []
    for log in logs:
        with log.open("w") as stream:
            processes.append(subprocess.Popen(command, stderr=stream, text=True))
    try:
        yield [(address_in(*pair), pair[1]) for pair in zip(logs, processes, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def address_in(log: Path, process: "subprocess.Popen[str]") -> str:
    while (found := re.search(r"listening on (\S+)", log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    return found[1]


@pytest.mark.slow
def test_no_call_is_lost_with_a_server(servers: Any) -> None:
    targets, processes = zip(*servers, strict=True)
    with Client(targets[0], model="digits") as client:
        reference = client.generate(CALLS, seed=0).array.astype(int)
    with Client(targets, model="digits", timeout=60) as client:
        killed = threading.Event()

        def draw(seed: int) -> tuple[str, bool]:
            if seed == CALLS // 3:
                processes[1].send_signal(signal.SIGKILL)
                processes[1].wait()
                killed.set()
            was_killed = killed.is_set()
            images = client.generate(1, seed=seed)
            assert np.abs(images.array - reference[seed]).max() <= 1
            return images.endpoint, was_killed

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(draw, range(CALLS)))
    assert len(answers) == CALLS
    assert {endpoint for endpoint, late in answers if not late} == set(targets)
    assert {endpoint for endpoint, late in answers if late} == {targets[0], targets[2]}
    asyncio.run(draw_in_tasks(targets[::2], processes[2], reference))


async def draw_in_tasks(targets: Any, doomed: Any, reference: np.ndarray) -> None:
    """The same with tasks, of the servers that are left, one of which is killed."""
    answered: set[str | None] = set()
    async with AsyncClient(targets, model="digits", timeout=60) as client:

        async def draw(first: int) -> None:
            for seed in range(first, CALLS, 8):
                if seed == CALLS // 3:
                    doomed.send_signal(signal.SIGKILL)
                images = await client.generate(1, seed=seed)
                assert np.abs(images.array - reference[seed]).max() <= 1
                answered.add(images.endpoint)

        await asyncio.gather(*map(draw, range(8)))
    assert answered == set(targets)


@pytest.mark.parametrize(
    ("toxin", "timeout", "kind"),
    [
        ("reset", BOUND, ServerUnreachable),
        ("reset_later", BOUND, ServerUnreachable),
        ("silence", 0.5, (RequestTimeout, ServerUnreachable)),
        ("stop_later", 0.5, RequestTimeout),
    ],
)
@pytest.mark.parametrize("fresh", [True, False], ids=["new", "connected"])
def test_a_call_ends_in_time_whatever_the_network_does(
    proxy: ToxicProxy, fake: Any, toxin: Any, timeout: float, kind: Any, fresh: bool
) -> None:
    with Client(proxy.target, model="digits", retry=Retry(first=0.01)) as client:
        if not fresh:
            client.generate(1)
        proxy.toxin = toxin
        if toxin == "reset":
            proxy.cut()
        elif toxin == "silence":
            proxy.mute()
        started = time.monotonic()
        with pytest.raises(kind):
            client.generate(64, timeout=timeout)
        with pytest.raises(GannetError):
            list(client.stream(1000, timeout=timeout))
        assert time.monotonic() - started < BOUND
        proxy.toxin = "none"
        assert client.wait_ready(BOUND) == 1
        assert len(client.generate(64, timeout=BOUND)) == 64


def test_the_asynchronous_client_ends_in_time_too(proxy: ToxicProxy) -> None:
    async def use() -> None:
        async with AsyncClient(proxy.target, model="digits") as client:
            await client.generate(1)
            proxy.toxin = "stop_later"
            with pytest.raises(RequestTimeout):
                await client.generate(1000, timeout=0.5)
            proxy.toxin = "none"
            assert len(await client.generate(64, timeout=BOUND)) == 64

    started = time.monotonic()
    asyncio.run(use())
    assert time.monotonic() - started < 2 * BOUND


def test_a_call_given_up_tells_of_silence_too(proxy: ToxicProxy) -> None:
    """As the other pieces of a request are, once the first has run out of the time that all of them share."""

    async def use() -> None:
        async with AsyncClient(proxy.target, model="digits") as client:
            await client.generate(1)
            proxy.mute()
            with pytest.raises(RequestTimeout):
                await client.generate(1, timeout=0.5)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.generate(1, timeout=600), 0.5)
            assert len(await client.generate(64, timeout=BOUND)) == 64

    asyncio.run(use())


def test_delays_cost_time_alone(proxy: ToxicProxy, drawn: Any) -> None:
    proxy.toxin = "delay"
    with Client(proxy.target, model="digits", chunk_rows=16) as client:
        images = client.generate(64, seed=0)
        assert np.array_equal(images.array, drawn(range(64), 1))
        assert images.timings.total >= min(images.timings.requests) > 0


@pytest.mark.parametrize("toxin", ["reset", "reset_later", "silence", "stop_later"])
def test_a_healthy_server_takes_over(target: str, proxy: ToxicProxy, drawn: Any, toxin: Any) -> None:
    proxy.toxin = toxin
    retry = Retry(first=0.01, attempt_timeout=2.0)
    with Client([proxy.target, target], model="digits", retry=retry, timeout=60) as client:
        for seed in range(12):
            assert np.array_equal(client.generate(64, seed=seed).array, drawn(range(seed, seed + 64), 1))


FORKED = """
import os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from gannet_client import Client
opened, open_channel = [], grpc.insecure_channel
grpc.insecure_channel = lambda *arguments: opened.append(1) or open_channel(*arguments)
client = Client(sys.argv[1], model="digits")
draw = lambda count: client.generate(count, seed=7)
before = draw(100).array
def pause(frame, event, _):  # at each step, so that all threads are at the same one
    if event == "call" and "drivers" in frame.f_code.co_filename:
        time.sleep(0.01)
pid = os.fork()
if pid == 0:
    try:
        threading.setprofile(pause)
        with ThreadPoolExecutor(16) as pool:
            same = all((images.array == before).all() for images in pool.map(draw, [100] * 16))
        client.close()
        os._exit(0 if same and len(opened) == 2 else 1)
    except BaseException:
        os._exit(2)
for _ in range(5):
    assert (draw(100).array == before).all()
_, status = os.waitpid(pid, 0)
assert (draw(100).array == before).all()
client.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""


FORKED_WHILE_CONNECTING = """
import os, signal, sys, threading
import grpc
from gannet_client import Client
opening, go_on, open_channel = threading.Event(), threading.Event(), grpc.insecure_channel
def open_late(*arguments):
    opening.set()
    go_on.wait()
    return open_channel(*arguments)
grpc.insecure_channel = open_late
client = Client(sys.argv[1], model="digits")
connecting = threading.Thread(target=client.status)
connecting.start()
opening.wait()
pid = os.fork()
if pid == 0:
    signal.alarm(30)
    grpc.insecure_channel = open_channel
    with client.with_options(timeout=20) as copy:
        copy.status()
    client.close()
    os._exit(0)
go_on.set()
connecting.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize("program", [FORKED, FORKED_WHILE_CONNECTING])
def test_a_forked_process_connects_anew(target: str, program: str) -> None:
    # Python warns of a fork beside the threads of gRPC, which end with their process.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


INTERRUPTED = """
import sys
from gannet_client import Client
with Client(sys.argv[1], model="digits", timeout=300) as client:
    client.generate(1)
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        client.generate(int(sys.argv[2]))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("count", [1, 1000])
def test_an_interrupt_ends_a_call(target: str, fake: Any, count: int) -> None:
    command = [sys.executable, "-c", INTERRUPTED, target, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        fake.release.clear()
        seen = len(fake.requests)
        process.stdin.write("\n")
        process.stdin.flush()
        while len(fake.requests) == seen:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
        assert process.wait(60) == 0
