"""A models directory, a version as it is exported, and the command that reads them."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gannet_client import cli
from tests.conftest import Ended
from tests.export import publishers
from tests.export.directories import write_version


@pytest.fixture
def gannet_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs `gannet models` in this process."""
    monkeypatch.delenv("GANNET_SERVER", raising=False)

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["gannet models", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            cli.run("gannet_export.commands.models:models", "gannet models")
        return Ended(int(ending.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model with five versions, labels and a card of the kind that exports write."""
    models = tmp_path / "models"
    for number in range(1, 6):
        write_version(
            models,
            "digits",
            number,
            family="dcgan",
            image_shape=[16, 12, 1],
            training={"data": "digits", "steps": 2000 * number},
            graph={"precision": "float32"},
        )
    (models / "digits" / "labels.json").write_text('{"stable": 2, "last": 2, "canary": 5}')
    return models


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version as `gannet export` writes it."""
    import keras

    from gannet_export import export

    generator = keras.Sequential(
        [keras.Input([3]), keras.layers.Dense(64, "tanh"), keras.layers.Reshape([8, 8, 1])]
    )
    return export(generator, tmp_path_factory.mktemp("exported"), "tiny", latent_dim=3, plain=True)


@pytest.fixture(scope="module")
def without_waiting() -> Iterator[None]:
    """For tests that write much: nothing waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", publishers.do_not_wait)
        patch.delattr(fcntl, "F_FULLFSYNC", raising=False)
        yield
