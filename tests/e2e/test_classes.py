"""A class from the data set to the caller's disk, through the public commands."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannet_client import Client, UsageError
from tests.e2e.programs import Spine, gannet, serving

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def target(conditional: Spine) -> Iterator[str]:
    with serving(conditional.models) as target:
        yield target


@pytest.fixture
def client(target: str) -> Client:
    return Client(target, model="classes")


def pixels(directory: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)).astype(int) for path in directory.iterdir()}


def test_the_server_draws_what_the_run_draws(target: str, conditional: Spine, tmp_path: Path) -> None:
    """Of class 7, and of whatever class the seed draws."""
    labels = [7] * 12 + [-1] * 12
    choice = [part for label in labels for part in ("--class", label)]
    where = ("--server", target, "--model", "classes")
    for command in (
        ("sample", conditional.run, "--out", tmp_path / "sampled"),
        ("generate", *where, "--out", tmp_path / "served"),
    ):
        ended = gannet(*command, "--seeds", "0-11,0-11", *choice)
        assert ended.returncode == 0, ended.stderr
    sampled, served = pixels(tmp_path / "sampled"), pixels(tmp_path / "served")
    names = {f"seed{seed:04d}{kind}.png" for seed in range(12) for kind in ("", "-class7")}
    assert sampled.keys() == served.keys() == names
    for name in names:
        assert np.abs(sampled[name] - served[name]).max() <= 1


def test_one_class_for_all(target: str, client: Client, tmp_path: Path) -> None:
    where = ("--server", target, "--model", "classes", "--out", tmp_path)
    ended = gannet("generate", *where, "--seeds", "7-8", "--class", 7)
    assert ended.returncode == 0, ended.stderr
    expected = client.generate(2, seed=7, classes="7").array[..., 0].astype(int)
    received = pixels(tmp_path)
    for seed, image in zip((7, 8), expected, strict=True):
        np.testing.assert_array_equal(received[f"seed{seed:04d}-class7.png"], image)


def test_the_class_makes_the_difference(client: Client) -> None:
    images = client.generate(seeds=[5] * 10, classes=list("0123456789")).array
    assert len(np.unique(images.reshape(10, -1), axis=0)) == 10
    one, other = client.generate(40, seed=0), client.generate(40, seed=0, classes=7)
    same = (np.abs(one.array.astype(int) - other.array).reshape(40, -1).max(axis=1) <= 1).sum()
    assert 0 < same < 20


def test_a_label_of_nobody_is_black_beside_good_ones(client: Client) -> None:
    labels = np.array([3, 10, 4])
    pixels = client.predict({"seeds": np.arange(3), "labels": labels}, signature="seeded_pixels")["pixels"]
    expected = client.generate(seeds=[0, 2], classes=[3, 4]).array.astype(int)
    assert np.abs(pixels[[0, 2]] - expected).max() <= 1
    assert not pixels[1].any()


def test_the_other_model_has_no_classes(target: str) -> None:
    with Client(target, model="digits") as client:
        assert client.generate(2).classes is None
        with pytest.raises(UsageError, match="has no classes"):
            client.generate(2, classes=7)
