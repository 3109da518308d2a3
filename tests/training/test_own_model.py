"""Networks and data of the user's own, through the command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gannet_training.run import Run
from gannet_training.trainer import load

MODULE = """
import keras
import numpy as np

def factory(image_shape, latent_dim, units=8):
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    generator = keras.Sequential([
        keras.Input([latent_dim]), keras.layers.Dense(units, "relu"), keras.layers.Dense(pixels, "tanh"),
        keras.layers.Reshape(image_shape)])
    discriminator = keras.Sequential([
        keras.Input(image_shape), keras.layers.Flatten(),
        keras.layers.Dense(units, "relu"), keras.layers.Dense(1)])
    return generator, discriminator

def lonely(image_shape, latent_dim):
    return keras.Sequential()

def stripes():
    images = np.zeros([40, 8, 8, 1], np.uint8)
    images[::2, ::2] = 255
    return images, np.arange(40) % 2

def oblong():
    return np.zeros([4, 8, 6, 1], np.uint8)

def text():
    return "images"

number = 3
"""

Gannet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module beside which the command is run; each test has one of its own name."""
    name = f"own_{tmp_path.name.replace('[', '_').replace(']', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_factory_is_trained_sampled_and_exported(gannet: Gannet, module: str, tmp_path: Path) -> None:
    settings = ("--data", "digits", "--out", "run", "--steps", 30, "--image-size", 8, "--set", "units=12")
    code, out, error = gannet("train", f"{module}:factory", *settings)
    assert code == 0, error
    model = load(Run(Path("run")))
    assert model.step == 30
    assert model.generator.layers[0].units == 12
    assert gannet("sample", "run", "--seeds", "0-3", "--grid", "grid.png")[0] == 0
    code, out, error = gannet("export", "run", "--models", "models", "--name", "own")
    assert (code, out.strip()) == (0, "models/own/1"), error
    code, _, error = gannet("train", f"{module}:factory", *settings[:-1], "units=13")
    assert code == 2
    assert "options {'units': 12} there, {'units': 13} here" in error


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_package.models:factory", "cannot find the module 'no_such_package.models'"),
        ("{module}:missing", "has no 'missing'"),
        ("{module}:number", "expected something to call"),
        ("{module}:lonely", "to return (generator, discriminator)"),
    ],
)
def test_a_reference_that_leads_nowhere(
    gannet: Gannet, module: str, tmp_path: Path, reference: str, message: str
) -> None:
    model = reference.format(module=module)
    code, _, error = gannet("train", model, "--data", "digits", "--out", tmp_path / "run")
    assert code == 2
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("assignment", ["units", "=3", "two words=1"])
def test_an_assignment_that_is_none(gannet: Gannet, tmp_path: Path, assignment: str) -> None:
    code, _, error = gannet(
        "train", "gan", "--data", "digits", "--out", tmp_path / "run", "--set", assignment
    )
    assert (code, error) == (2, f"gannet: expected --set NAME=VALUE, received --set {assignment}\n")


def test_own_data_is_trained_on(gannet: Gannet, module: str) -> None:
    settings = ("--out", "run", "--steps", 30, "--batch-size", 4)
    code, _, error = gannet("train", f"{module}:factory", "--data", f"{module}:stripes", *settings)
    assert code == 0, error
    config = Run(Path("run")).config()
    assert (config.image_size, config.channels) == (8, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oblong", "expected square images"),
        ("text", "received str"),
        ("nothing", "has no 'nothing'"),
    ],
)
def test_own_data_that_is_none(gannet: Gannet, module: str, name: str, message: str) -> None:
    code, _, error = gannet("train", "gan", "--data", f"{module}:{name}", "--out", "run")
    assert (code, error.count("\n")) == (2, 1)
    assert message in error
    assert not Path("run").exists()
