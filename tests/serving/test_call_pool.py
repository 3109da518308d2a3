"""The threads that answer calls."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, get_ident
from typing import Any

import pytest

from gannet_client.errors import GannetError
from gannet_serving.call_pool import SPARE_THREADS, CallPool

MOST = SPARE_THREADS + 1
UNCLOSED = """
import sys
import numpy as np
from gannet_client import Client
from gannet_serving import LocalServer

server = LocalServer(sys.argv[1])
with Client(server.target, model="gen") as client:
    print(*client.predict({"noise": np.ones((2, 4), np.float32)}))
"""


class Held:
    """Work that takes a thread until it is let go."""

    def __init__(self) -> None:
        self._begun = SimpleQueue[int]()
        self._go = SimpleQueue[None]()

    def __call__(self) -> None:
        self._begun.put(get_ident())
        self._go.get(timeout=60)

    def threads(self, count: int) -> set[int]:
        return {self._begun.get(timeout=60) for _ in range(count)}

    def let_go(self, count: int) -> None:
        for _ in range(count):
            self._go.put(None)


@pytest.fixture
def pool() -> Iterator[CallPool]:
    pool = CallPool(MOST - SPARE_THREADS)
    yield pool
    pool.shutdown()


@pytest.fixture
def held(pool: CallPool) -> Iterator[Held]:
    held = Held()
    yield held
    held.let_go(MOST)


def test_there_are_so_many_threads_and_the_newest_call_goes_first(pool: CallPool, held: Held) -> None:
    for _ in range(MOST):
        pool.submit(held)
    assert len(held.threads(MOST)) == MOST
    done = SimpleQueue[int]()
    for number in range(3):
        pool.submit(done.put, number)
    assert done.empty()
    held.let_go(1)
    assert [done.get(timeout=60) for _ in range(3)] == [2, 1, 0]


def test_a_call_that_fails_costs_no_thread(
    pool: CallPool, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Held()

    def fail() -> None:
        failing()
        raise SystemExit("no")

    for _ in range(MOST):
        pool.submit(fail)
    first = failing.threads(MOST)
    failing.let_go(MOST)
    for _ in range(MOST):
        pool.submit(held)
    assert held.threads(MOST) == first
    assert "a call failed" in caplog.text


def refuse(thread: Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_system_that_allows_few_threads(
    pool: CallPool, held: Held, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done = SimpleQueue[int]()
    with monkeypatch.context() as limit:
        limit.setattr(Thread, "start", refuse)
        pool.submit(held)
        for number in range(MOST):
            pool.submit(done.put, number)
        (only,) = held.threads(1)
        held.let_go(1)
        assert {done.get(timeout=60) for _ in range(MOST)} == set(range(MOST))
        pool.submit(held)
        assert held.threads(1) == {only}
    while done.empty():  # until the pool tries again
        pool.submit(done.put, 0)
        time.sleep(0.01)
    for _ in range(MOST - 1):
        pool.submit(held)
    assert len(held.threads(MOST - 1) | {only}) == MOST
    assert [record.message for record in caplog.records] == [
        "the system allows no more than 1 threads for calls; trying again later"
    ]


def test_a_system_that_allows_no_thread_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thread, "start", refuse)
    with pytest.raises(GannetError, match="the system allows no thread for calls; raise its limit"):
        CallPool(1)


def test_a_process_ends_that_never_closed_its_server(saved_models: Any, tmp_path: Path) -> None:
    (tmp_path / "gen").mkdir()
    saved_models.write_gen(tmp_path / "gen" / "1")
    found = subprocess.run(
        [sys.executable, "-c", UNCLOSED, tmp_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert (found.returncode, found.stdout) == (0, "images\n")
