"""`gannet bench`: what it measures, and that it hides no waiting."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gannet_client import ServerOverloaded
from gannet_client.commands import load
from gannet_client.commands.load import Load, measure


@pytest.fixture
def bench(gannet: Any, target: str) -> Any:
    """`gannet bench` of the model `digits` of the fake server."""
    return lambda *arguments: gannet("bench", "--server", target, "--model", "digits", *arguments)


def test_bench_measures_each_combination(bench: Any, tmp_path: Path) -> None:
    options = ["--rows", "1,5", "--concurrency", "1,3", "--rates", "200", "--seconds", "0.2"]
    code, out, err = bench(*options, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)["measurements"]
    assert [(one["rows"], one["callers"], one["rate"]) for one in found] == [
        (1, 1, None),
        (1, 3, None),
        (5, 1, None),
        (5, 3, None),
        (1, None, 200),
        (5, None, 200),
    ]
    for one in found:
        assert one["requests"] > 0 and one["errors"] == {}
        assert one["images_per_second"] == pytest.approx(
            one["requests"] * one["rows"] / one["seconds"], rel=0.02
        )
        assert list(one["latencies_ms"].values()) == sorted(one["latencies_ms"].values())


def test_bench_prints_a_table_and_draws_curves(bench: Any, fake: Any, tmp_path: Path) -> None:
    path = tmp_path / "größe.png"
    options = ["--rows", "5", "--concurrency", "2", "--rates", "100", "--seconds", "0.2", "--plot", path]
    code, out, _ = bench(*options)
    assert code == 0
    head, closed, opened = out.splitlines()
    assert head.split()[:3] == ["load", "rows", "images/s"]
    assert closed.split()[:4] == ["2", "at", "once", "5"]
    assert opened.split()[:2] == ["100/s", "5"]
    with Image.open(path) as curves:
        assert curves.format == "PNG"
    asked = [one.inputs["seeds"] for one in fake.requests if "seeds" in one.inputs]
    assert {len(seeds.tensor_content) // 8 for seeds in asked} == {5}


def test_bench_takes_the_conditions_of_a_model(gannet: Any, real_target: str) -> None:
    options = ["--server", real_target, "--model", "animals", "--rows", "2", "--concurrency", "1"]
    options += ["--seconds", "0.1", "--format", "float"]
    assert gannet("bench", *options).code == 2  # floats leave no class to chance
    code, out, _ = gannet("bench", *options, "--class", "cat", "--codes", "0,0", "--json")
    assert (code, json.loads(out)["measurements"][0]["errors"]) == (0, {})


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--rows", "0"], 2, "expected positive numbers up to 65536"),
        (["--rates", "nan"], 2, "expected positive numbers"),
        (["--concurrency", "1,x"], 2, "received '1,x'"),
        (["--plot", "/"], 2, "'/' is a directory"),
        (["--seconds", "0"], 2, "--seconds must be a positive number"),
        (["--version", "9"], 4, "Specific(digits, 9)"),
    ],
)
def test_bench_fails_before_it_measures(bench: Any, arguments: list[str], code: int, message: str) -> None:
    ended, out, err = bench(*arguments)
    assert (ended, out) == (code, "")
    assert message in err and err.count("\n") == 1


def test_waiting_is_not_hidden_in_an_open_loop(monkeypatch: Any) -> None:
    """The server stalls until every request is due; the first ones are as late as the stall is long."""

    async def run() -> load.Measurement:
        go_on = asyncio.Event()
        stall: list[asyncio.TimerHandle] = []

        async def draw(rows: int) -> None:
            if not stall:
                stall.append(asyncio.get_running_loop().call_later(0.5, go_on.set))
            await go_on.wait()

        return await measure(draw, Load(1, None, 100), 0.4)

    for most in (1000, 1):  # also where requests cannot begin when they are due
        monkeypatch.setattr(load, "_MOST_UNDER_WAY", most)
        found = asyncio.run(run())
        assert found.requests > 20
        assert found.latencies["max"] > 400
        assert found.latencies["p50"] > 200


def test_requests_that_fail_are_counted_and_not_timed() -> None:
    async def draw(rows: int) -> None:
        await asyncio.sleep(0)
        raise ServerOverloaded("too much")

    found = asyncio.run(measure(draw, Load(4, 2, None), 0.05))
    assert found.requests == 0 and found.errors["ServerOverloaded"] > 0
    assert found.as_dict()["latencies_ms"]["p50"] is None
    assert found.images_per_second == 0


def test_a_closed_loop_asks_again_when_it_is_answered() -> None:
    under_way = most = 0

    async def draw(rows: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1

    found = asyncio.run(measure(draw, Load(2, 3, None), 0.1))
    assert most == 3
    assert found.seconds >= 0.1
