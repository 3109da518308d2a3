"""Requests that are under way at once: how many, and what ends them."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gannet_client import AsyncClient, Client, UsageError

PARALLEL = 2
BOUND = 20.0
"""Seconds in which what ends at once has ended on the slowest machine."""


class Counting:
    """Draws as the fake model does, and counts how many requests are drawn at once."""

    def __init__(self, draw: Any) -> None:
        self.most = 0
        self._draw = draw
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, seeds: Any, version: int) -> np.ndarray:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.01)
        images: np.ndarray = self._draw(seeds, version)
        with self._lock:
            self._now -= 1
        return images


def test_no_more_are_under_way_than_allowed_though_pieces_are_cut_again(
    target: str, fake: Any, drawn: Any
) -> None:
    fake.max_rows, fake.pixels = 8, Counting(drawn)
    with Client(target, model="digits", parallel=PARALLEL) as client:
        pieces = list(client.stream(400, seed=0))
    assert np.array_equal(np.concatenate([piece.array for piece in pieces]), drawn(range(400), 1))
    assert fake.pixels.most == PARALLEL

    async def use() -> None:
        async with AsyncClient(target, model="digits", parallel=PARALLEL) as client:
            pieces = [piece async for piece in client.stream(400, seed=0)]
            assert np.array_equal(np.concatenate([piece.array for piece in pieces]), drawn(range(400), 1))

    asyncio.run(use())
    assert fake.pixels.most == PARALLEL


def test_requests_of_pieces_cut_again_end_with_the_stream(target: str, fake: Any, drawn: Any) -> None:
    waiting, release = threading.Event(), threading.Event()

    def draw(seeds: Any, version: int) -> np.ndarray:
        if min(seeds) >= PARALLEL * 64:
            waiting.set()
            release.wait(60)
        images: np.ndarray = drawn(seeds, version)
        return images

    fake.max_rows, fake.pixels = 8, draw
    with Client(target, model="digits", parallel=PARALLEL, timeout=60) as client:
        stream: Any = client.stream(10_000, seed=0)
        assert [len(next(stream)) for _ in range(PARALLEL)] == [64] * PARALLEL
        assert waiting.wait(60)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(stream.close).result(BOUND)
        release.set()


def test_closing_ends_the_calls_of_other_tasks(target: str, fake: Any) -> None:
    async def use() -> None:
        client = AsyncClient(target, model="digits", timeout=600)
        await client.generate(1)
        fake.release.clear()
        seen = len(fake.requests)
        drawing = [asyncio.create_task(client.generate(count)) for count in (1, 1, 300)]
        while len(fake.requests) < seen + 3:
            await asyncio.sleep(0.01)
        drawing[1].cancel()
        await client.close()
        first, cancelled, several = await asyncio.gather(*drawing, return_exceptions=True)
        assert isinstance(cancelled, asyncio.CancelledError)
        for error in (first, several):
            assert isinstance(error, UsageError) and "closed" in str(error)

    asyncio.run(use())


def test_nothing_is_under_way_after_a_stream_was_closed(target: str, fake: Any) -> None:
    async def use() -> None:
        async with AsyncClient(target, model="digits", parallel=4) as client:
            stream: Any = client.stream(10_000, seed=0)
            assert len(await anext(stream)) == 64
            fake.release.clear()
            await stream.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            fake.release.set()

    asyncio.run(use())
