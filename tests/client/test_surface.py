"""`Client` and `AsyncClient`: one surface, two ways to wait."""

import asyncio
import inspect
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gannet_client import NO_RETRY, AsyncClient, Client, UsageError
from gannet_client.client import Client as Sync

RENAMED = {"__enter__": "__aenter__", "__exit__": "__aexit__"}


def methods(kind: type) -> dict[str, Any]:
    """What a class offers, by name: its public functions, how it is made, and how it is used in a `with`."""
    return {
        name: value
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") or name in (*RENAMED, *RENAMED.values(), "__init__")
    }


def test_both_have_the_same_methods() -> None:
    names = {RENAMED.get(name, name) for name in methods(Client)}
    assert names == set(methods(AsyncClient))
    assert {"generate", "stream", "interpolate", "latents", "predict", "models", "with_options"} <= names


@pytest.mark.parametrize("name", sorted(methods(Client)))
def test_both_take_the_same_and_say_the_same(name: str) -> None:
    ours, theirs = methods(Client)[name], methods(AsyncClient)[RENAMED.get(name, name)]
    pairs = [(p.name, p.kind, p.default, p.annotation) for p in inspect.signature(ours).parameters.values()]
    assert pairs == [
        (p.name, p.kind, p.default, p.annotation) for p in inspect.signature(theirs).parameters.values()
    ]
    first, other = ((method.__doc__ or "\n").splitlines()[0] for method in (ours, theirs))
    assert first == other
    assert bool(first) == (name not in RENAMED)


def test_options_are_given_by_name_alone() -> None:
    by_place = {
        name: [
            p.name for p in inspect.signature(method).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        for name, method in methods(Sync).items()
    }
    assert by_place["__init__"] == ["self", "target"]
    assert by_place["generate"] == by_place["stream"] == ["self", "n"]
    assert by_place["interpolate"] == ["self", "seed_a", "seed_b", "steps"]
    assert by_place["with_options"] == ["self"]


def test_a_copy_behaves_otherwise_over_the_same_connections(target: str, fake: Any, drawn: Any) -> None:
    with Client(target, model="digits") as client:
        copy = client.with_options(chunk_rows=7, metadata={"x-caller": "anna"}, retry=NO_RETRY, timeout=5)
        assert np.array_equal(copy.generate(20, seed=0).array, drawn(range(20), 1))
        drawing = [r for r in fake.requests if r.model_spec.signature_name == "seeded_pixels"]
        assert sorted(len(r.inputs["seeds"].tensor_content) // 8 for r in drawing) == [6, 7, 7]
        assert fake.metadata[-1]["x-caller"] == "anna" and max(fake.remaining) <= 5.1
        client.generate(1)
        assert "x-caller" not in fake.metadata[-1]
        with copy.with_options(model="nope") as other:
            assert (other.model, copy.model) == ("nope", "digits")
        copy.close()
        copy.close()
        assert len(client.generate(1)) == 1
        with pytest.raises(UsageError, match="closed"):
            copy.generate(1)
        with pytest.raises(UsageError, match="timeout must be a positive number"):
            client.with_options(timeout=-1)
    with pytest.raises(UsageError, match="closed"):
        client.with_options(timeout=1)


def test_copies_share_what_is_known(target: str, fake: Any) -> None:
    fake.max_rows = 50
    with Client(target, model="digits") as client:
        client.generate(100)
        for timeout in (5, 6, 7):
            with client.with_options(timeout=timeout) as copy:
                copy.generate(100)
    asked = [request.model_spec.signature_name for request in fake.requests]
    assert asked.count("card") == 1
    sizes = [len(request.inputs["seeds"].tensor_content) // 8 for request in fake.requests[1:]]
    assert sizes.count(64) == 1 and sizes.count(50) == 7


def test_closing_ends_the_calls_of_other_threads(target: str, fake: Any) -> None:
    client = Client(target, model="digits", timeout=60)
    client.generate(1)
    fake.release.clear()
    seen = len(fake.requests)
    with ThreadPoolExecutor(6) as pool:
        drawing = [pool.submit(client.generate, count) for count in (1, 1, 1, 1, 300, 300)]
        while len(fake.requests) == seen:
            time.sleep(0.01)
        client.close()
        for future in drawing:
            with pytest.raises(UsageError, match="closed"):
                future.result()


def test_the_asynchronous_one_draws_the_same(target: str, fake: Any, drawn: Any) -> None:
    async def use() -> None:
        async with AsyncClient(target, model="digits", chunk_rows=9) as client:
            assert await client.wait_ready() == 1
            images = await client.generate(100, seed=5)
            assert np.array_equal(images.array, drawn(range(5, 105), 1))
            assert (images.endpoint, images.attempts) == (target, 12)
            pieces = [piece async for piece in client.stream(30, seed=5)]
            assert [len(piece) for piece in pieces] == [9, 9, 9, 3]
            assert np.array_equal(np.concatenate([piece.array for piece in pieces]), drawn(range(5, 35), 1))
            assert await client.card() == fake.card
            assert (await client.status())[0].version == 1
            assert "seeded_pixels" in await client.metadata()
            assert (await client.models(["nope"]))["nope"] == []
            several = await asyncio.gather(*(client.generate(3, seed=seed) for seed in range(20)))
            for seed, images in enumerate(several):
                assert np.array_equal(images.array, drawn(range(seed, seed + 3), 1))

    asyncio.run(use())


def test_the_asynchronous_one_outlives_its_loop_and_ends_but_once(target: str) -> None:
    client = AsyncClient(target, model="digits")
    for _ in range(2):
        assert len(asyncio.run(client.generate(3))) == 3

    async def close() -> None:
        await client.close()
        await client.close()
        with pytest.raises(UsageError, match="closed"):
            await client.generate(1)

    asyncio.run(close())


def test_a_cancelled_task_ends_at_once(target: str, fake: Any) -> None:
    async def use() -> None:
        async with AsyncClient(target, model="digits") as client:
            await client.generate(1)
            fake.release.clear()
            task = asyncio.create_task(client.generate(1000))
            while len(fake.requests) < 3:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            fake.release.set()
            assert len(await client.generate(1)) == 1

    asyncio.run(use())


def test_a_stream_reads_its_seeds_as_it_goes(target: str, fake: Any, drawn: Any) -> None:
    read: list[int] = []

    def seeds() -> Any:
        for seed in range(10**9):
            read.append(seed)
            yield seed

    with Client(target, model="digits", chunk_rows=10, parallel=3) as client:
        stream = client.stream(seeds=seeds(), classes=None)
        assert read == []
        for place in range(5):
            piece = next(stream)
            assert piece.seeds is not None and piece.seeds.tolist() == list(
                range(place * 10, place * 10 + 10)
            )
            assert np.array_equal(piece.array, drawn(piece.seeds, 1))
            assert len(read) <= (place + 3) * 10
        stream.close()
        assert len(client.generate(1)) == 1


def test_a_stream_takes_conditions_as_it_goes(target: str, fake: Any, drawn_of_classes: Any) -> None:
    fake.classes = {1: ["cat", "dog", "owl"]}
    with Client(target, model="digits", chunk_rows=4) as client:
        labels = (seed % 3 for seed in range(100))
        pieces = list(client.stream(seeds=iter(range(10)), classes=labels))
        images = np.concatenate([piece.array for piece in pieces])
        assert np.array_equal(images, drawn_of_classes(range(10), np.arange(10) % 3, 1))
        pieces = list(client.stream(10, seed=0, classes="dog"))
        images = np.concatenate([piece.array for piece in pieces])
        assert np.array_equal(images, drawn_of_classes(range(10), np.ones(10), 1))
        with pytest.raises(UsageError, match="classes ended before the seeds did"):
            list(client.stream(seeds=range(10), classes=iter(["cat", "dog"])))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "how many"),
        ({"n": 3, "seeds": [1]}, "not both"),
        ({"seeds": "0-3"}, "iterable of integers"),
        ({"seeds": 7}, "iterable of integers"),
        ({"n": 3, "classes": ["cat"]}, "one for all 3 images or one for each; received 1"),
        ({"n": 2, "codes": [[1, 2], [1]]}, r"codes must be as long for each image; received \[\[1, 2"),
        ({"n": 3, "format": "jpeg"}, "format must be one of pixels, png, float"),
        ({"n": 3, "timeout": 0}, "timeout must be"),
        ({"n": 3, "version": 1, "version_label": "stable"}, "not both"),
    ],
)
def test_a_stream_refuses_bad_arguments_when_it_is_opened(
    target: str, fake: Any, arguments: dict[str, Any], message: str
) -> None:
    with Client(target, model="digits") as client, pytest.raises(UsageError, match=message):
        client.stream(**arguments)
    assert fake.requests == []


def test_a_stream_of_bad_seeds_ends_there(target: str) -> None:
    with Client(target, model="digits", chunk_rows=2, parallel=1) as client:
        stream = client.stream(seeds=[1, 2, 0.5])  # type: ignore[list-item]
        assert len(next(stream)) == 2
        with pytest.raises(UsageError, match="flat sequence of integers"):
            next(stream)
        assert list(client.stream(0)) == []


def test_models_are_those_that_are_named(target: str, fake: Any) -> None:
    with Client(target, model="digits") as client:
        assert client.models() == {"digits": client.status()}
        assert client.models(["nope", "digits"]) == {"digits": client.status(), "nope": []}
