"""What type checkers know of the client: checked by mypy and pyright, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import numpy as np

from gannet_client import (
    NO_RETRY,
    AsyncClient,
    Client,
    GannetError,
    Generation,
    Retry,
    Signature,
    Tls,
    VersionStatus,
)
from gannet_client.codec import Array


def synchronous(seeds: list[int]) -> None:
    with Client(["a:8500", "b:8500"], model="digits", retry=NO_RETRY) as client:
        assert_type(client, Client)
        assert_type(client.generate(16, seed=7), Generation)
        assert_type(client.generate(seeds=np.arange(3), classes=["cat", 1, -1], truncation=0.5), Generation)
        assert_type(client.generate(noise=[[0.0, 1.0]], format="float", codes=[0.5]), Generation)
        assert_type(client.stream(seeds=(seed for seed in seeds), format="png"), Iterator[Generation])
        assert_type(client.interpolate(1, 2, 8, how="lerp", classes="cat"), Generation)
        assert_type(client.latents(seeds), Array)
        assert_type(client.predict({"noise": [[0.0]]}, signature="pixels"), dict[str, Array])
        assert_type(client.card(version=3), dict[str, Any])
        assert_type(client.metadata(version_label="stable"), dict[str, Signature])
        assert_type(client.status(), list[VersionStatus])
        assert_type(client.models(["other"]), dict[str, list[VersionStatus]])
        assert_type(client.wait_ready(5), int)
        assert_type(client.with_options(timeout=3, retry=Retry(attempts=2)), Client)
        assert_type(client.close(), None)


async def asynchronous(seeds: list[int]) -> None:
    async with AsyncClient(routing="routing.json", tls=Tls(authority="ca.pem"), token=lambda: "t") as client:
        assert_type(client, AsyncClient)
        assert_type(await client.generate(16, seed=7, key="anna"), Generation)
        assert_type(client.stream(1000, pin=True), AsyncIterator[Generation])
        async for piece in client.stream(1000):
            assert_type(piece, Generation)
        assert_type(await client.interpolate(1, 2, 8), Generation)
        assert_type(await client.latents(seeds), Array)
        assert_type(await client.predict({}), dict[str, Array])
        assert_type(await client.wait_ready(), int)
        assert_type(client.with_options(parallel=2), AsyncClient)


def results(images: Generation, error: GannetError) -> None:
    assert_type(images.array, Array)
    assert_type(images.seeds, Array | None)
    assert_type(images.pngs, tuple[bytes, ...] | None)
    assert_type(error.endpoint, str | None)
    assert_type(error.retryable, bool)


def mistakes(client: Client) -> None:
    """Each of these is an error, and a checker that misses one says that its mark is unused."""
    client.generate(16, 7)  # type: ignore[call-arg]
    client.generate("16")  # type: ignore[arg-type]
    client.generate(16, format="jpeg")  # type: ignore[arg-type]
    client.interpolate(1, 2, 3, how="straight")  # type: ignore[arg-type]
    client.nothing()  # type: ignore[attr-defined]
    Client(model=7)  # type: ignore[arg-type]
    AsyncClient(model="m", retry=3)  # type: ignore[arg-type]
