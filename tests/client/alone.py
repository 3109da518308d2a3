"""A program for an environment that has the client alone: reads and writes what the official stubs judge.

Usage: python alone.py FOLDER [HOST:PORT]

Of each case in the folder it reads NAME.response, compares the output `x` with NAME.npy or NAME.json (strings
in hexadecimal), and writes the same array as NAME.request. Then it draws images of the model `digits`.
"""

import asyncio
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

from gannet_client import AsyncClient, Client, codec, wire


def main() -> None:
    assert importlib.util.find_spec("tensorflow") is None
    for response in sorted(Path(sys.argv[1]).glob("*.response")):
        check(response)
    if len(sys.argv) > 2:
        draw(sys.argv[2])
    assert not [name for name in sys.modules if name.startswith("tensorflow")]


def check(response: Path) -> None:
    received = codec.read_response(response.read_bytes())
    expected = array_of(response)
    assert (received.model, received.version) == ("digits", 3)
    np.testing.assert_array_equal(received.outputs["x"], expected, strict=True)
    spec = wire.ModelSpec(name="digits", signature_name="pixels")
    response.with_suffix(".request").write_bytes(codec.encode_request(spec, {"x": expected}))


def array_of(response: Path) -> np.ndarray:
    if response.with_suffix(".npy").exists():
        return np.load(response.with_suffix(".npy"))
    strings = [bytes.fromhex(text) for text in json.loads(response.with_suffix(".json").read_text())]
    array = np.empty(len(strings), object)
    array[:] = strings
    return array


def draw(target: str) -> None:
    with Client(target, model="digits") as client:
        client.wait_ready()
        images = client.generate(70, seed=1)
        assert images.array.shape == (70, 6, 5, 3)
        assert client.status()[0].version == client.generate(1).version

    async def draw_again() -> None:
        async with AsyncClient(target, model="digits") as client:
            again = await client.generate(70, seed=1)
            assert np.array_equal(again.array, images.array)

    asyncio.run(draw_again())


if __name__ == "__main__":
    main()
