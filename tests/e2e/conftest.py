"""Two small runs, trained and exported by the commands, and a server of them, shared by all tests here."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.programs import Spine, gannet, serving

TRAINED: dict[str, tuple[object, ...]] = {
    "digits": ("dcgan", "--data", "digits", "--steps", 40, "--width", 8),
    "classes": ("cgan", "--data", "digits", "--steps", 20, "--width", 8, "--initializer", "he_normal"),
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Spine]:
    """A run without classes and one that learned classes, exported side by side, at the same time."""
    base = tmp_path_factory.mktemp("spine")

    def train(name: str, arguments: tuple[object, ...]) -> Spine:
        spine = Spine(base / name, base / "models")
        for command in (
            ("train", *arguments, "--out", spine.run),
            ("export", spine.run, "--models", spine.models, "--name", name),
        ):
            ended = gannet(*command)
            assert ended.returncode == 0, ended.stderr
        return spine

    with ThreadPoolExecutor() as pool:
        return dict(zip(TRAINED, pool.map(train, *zip(*TRAINED.items(), strict=True)), strict=True))


@pytest.fixture(scope="session")
def spine(trained: dict[str, Spine]) -> Spine:
    return trained["digits"]


@pytest.fixture(scope="session")
def conditional(trained: dict[str, Spine]) -> Spine:
    return trained["classes"]


@pytest.fixture(scope="session")
def server(spine: Spine) -> Iterator[str]:
    with serving(spine.models) as target:
        yield target
