"""Times several sides turn by turn, each in a process of its own: no side's idle threads disturb another."""

import importlib
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection


def seconds_per_step(sides: Sequence[str], *, turns: int, steps: int, warm_up: int) -> dict[str, list[float]]:
    """Measure.

    Args:
        sides: "module:function" of functions that make a step, which is a function without arguments.
        turns: how often each side has its turn.
        steps: made in a turn.
        warm_up: steps made before the first turn.

    Returns:
        Per side the seconds of one step in each turn.
    """
    spawn = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    for side in sides:
        ends[side], theirs = spawn.Pipe()
        spawn.Process(target=_run, args=(side, theirs, warm_up), daemon=True).start()
        _answer(ends[side], side)
    measured: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(turns):
        for side, end in ends.items():
            end.send(steps)
            measured[side].append(_answer(end, side) / steps)
    for end in ends.values():
        end.send(0)
    return measured


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as fast ours is: the median over turns."""
    return round(statistics.median(b / a for a, b in zip(ours, theirs, strict=True)), 3)


def _answer(end: Connection, side: str) -> float:
    try:
        return float(end.recv())
    except EOFError:
        raise SystemExit(f"{side} ended before it had answered") from None


def _run(side: str, end: Connection, warm_up: int) -> None:
    module, _, name = side.partition(":")
    step = getattr(importlib.import_module(module), name)()
    for _ in range(warm_up):
        step()
    end.send(0.0)
    while steps := end.recv():
        started = time.perf_counter()
        for _ in range(steps):
            step()
        end.send(time.perf_counter() - started)
