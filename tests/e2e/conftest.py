"""One small run, trained and exported by the commands, and a server of it, shared by all tests here."""

from collections.abc import Iterator

import pytest

from tests.e2e.programs import Spine, gannet, serving


@pytest.fixture(scope="session")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Spine:
    base = tmp_path_factory.mktemp("spine")
    run, models = base / "run", base / "models"
    steps = ("--steps", 40, "--width", 8)
    for command in (
        ("train", "dcgan", "--data", "digits", "--out", run, *steps),
        ("export", run, "--models", models, "--name", "digits"),
    ):
        ended = gannet(*command)
        assert ended.returncode == 0, ended.stderr
    return Spine(run, models)


@pytest.fixture(scope="session")
def conditional(spine: Spine) -> Spine:
    """A run that learned classes, exported beside the other as `classes`."""
    run = spine.run.parent / "conditional"
    steps = ("--steps", 20, "--width", 8, "--initializer", "he_normal")
    for command in (
        ("train", "cgan", "--data", "digits", "--out", run, *steps),
        ("export", run, "--models", spine.models, "--name", "classes"),
    ):
        ended = gannet(*command)
        assert ended.returncode == 0, ended.stderr
    return Spine(run, spine.models)


@pytest.fixture(scope="session")
def server(spine: Spine) -> Iterator[str]:
    with serving(spine.models) as target:
        yield target
