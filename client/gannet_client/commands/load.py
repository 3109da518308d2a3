"""Load on a server, and what it makes of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from gannet_client.errors import GannetError

Draw: TypeAlias = Callable[[int], Awaitable[object]]
"""Draws so many images in one request."""

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
_MOST_UNDER_WAY: Final = 1000


class Load(NamedTuple):
    """One kind of load.

    Attributes:
        rows: Images of a request.
        callers: Closed loop: how many callers ask again as soon as they are answered. None: open loop.
        rate: Open loop: how many requests begin a second, answered or not. None: closed loop.
    """

    rows: int
    callers: int | None
    rate: float | None


@dataclass(frozen=True)
class Measurement:
    """How servers answered a load.

    Attributes:
        load: The load.
        seconds: From the first request to the last answer.
        requests: How many were answered with images.
        errors: How many were not, by the name of the error.
        latencies: Milliseconds of the answered ones by the name of a percentile. In an open loop they count
            from when the request was due: one that waits behind others is as late as its caller finds it.
    """

    load: Load
    seconds: float
    requests: int
    errors: dict[str, int]
    latencies: dict[str, float]

    @property
    def images_per_second(self) -> float:
        """How many images were drawn in a second."""
        return self.requests * self.load.rows / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        latencies = {name: round(ms, 3) if self.requests else None for name, ms in self.latencies.items()}
        return {
            **self.load._asdict(),
            "seconds": round(self.seconds, 3),
            "requests": self.requests,
            "errors": self.errors,
            "images_per_second": round(self.images_per_second, 3),
            "latencies_ms": latencies,
        }


@dataclass
class _Tally:
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    async def time(self, request: Awaitable[object], due: float) -> None:
        try:
            await request
            self.latencies.append(time.perf_counter() - due)
        except GannetError as error:
            self.errors[type(error).__name__] += 1

    def measurement(self, load: Load, started: float) -> Measurement:
        seconds = time.perf_counter() - started
        found = np.percentile(self.latencies or [np.nan], list(PERCENTILES.values()), method="inverted_cdf")
        latencies = dict(zip(PERCENTILES, (found * 1000).tolist(), strict=True))
        return Measurement(load, seconds, len(self.latencies), dict(self.errors), latencies)


async def measure(draw: Draw, load: Load, seconds: float) -> Measurement:
    """Puts the load on servers.

    In a closed loop each caller asks again when it has its answer, and once at least. In an open one requests
    begin at random moments, as those of callers who know nothing of each other: none waits for the answer to
    another, unless a thousand are under way, and then it is late.
    """
    tally = _Tally()
    started = time.perf_counter()
    if load.callers is not None:
        callers = (_ask_again(draw, load.rows, started + seconds, tally) for _ in range(load.callers))
        await asyncio.gather(*callers)
    elif load.rate is not None:
        await _ask_on_time(
            draw, load.rows, (started + moment for moment in _moments(load.rate, seconds)), tally
        )
    return tally.measurement(load, started)


async def _ask_again(draw: Draw, rows: int, end: float, tally: _Tally) -> None:
    now = time.perf_counter()
    while True:
        await tally.time(draw(rows), now)
        if (now := time.perf_counter()) >= end:
            return


async def _ask_on_time(draw: Draw, rows: int, moments: Iterable[float], tally: _Tally) -> None:
    under_way = asyncio.Semaphore(_MOST_UNDER_WAY)

    async def ask(due: float) -> None:
        try:
            await tally.time(draw(rows), due)
        finally:
            under_way.release()

    async with asyncio.TaskGroup() as tasks:
        for due in moments:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            await under_way.acquire()
            tasks.create_task(ask(due))


def _moments(rate: float, seconds: float) -> Iterator[float]:
    """Seconds after the beginning: a Poisson process, the same one each time."""
    random = np.random.default_rng(0)
    moment = float(random.exponential(1 / rate))
    while moment < seconds:
        yield moment
        moment += float(random.exponential(1 / rate))
