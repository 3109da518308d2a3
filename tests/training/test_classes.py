"""Conditional models: classes from the data to the sampled image."""

import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gannet_client.errors import UsageError
from gannet_export import classes_of_seeds
from gannet_training.config import TrainConfig
from gannet_training.data import class_names
from gannet_training.models import networks
from gannet_training.run import Run
from gannet_training.sampling import GRID_SEEDS, sample
from gannet_training.trainer import build, load, train
from tests.training.encoded_images import fill, write

Gannet = Callable[..., tuple[int, str, str]]
DIGITS = tuple("0123456789")
SMALL = ("--image-size", 8, "--width", 4, "--latent-dim", 5, "--batch-size", 16, "--steps", 4)


@pytest.fixture
def cgan(config: TrainConfig) -> TrainConfig:
    return config.model_copy(update={"model": "cgan", "class_names": DIGITS})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = TrainConfig(
        model="cgan",
        data="digits",
        image_size=8,
        channels=1,
        steps=30,
        latent_dim=8,
        width=4,
        class_names=class_names("digits"),
        initializer="he_normal",
    )
    return train(config, tmp_path_factory.mktemp("classes") / "run")


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def step(config: TrainConfig, labels: list[int]) -> list[np.ndarray]:
    """The weights after one step on images of these classes."""
    model = build(config)
    images = tf.tanh(tf.random.stateless_normal([4, 1, 8, 8, 1], [1, 2]))
    noise = tf.random.stateless_normal([4, 1, 16], [3, 4])
    given = tf.constant(labels, tf.int64, shape=[4, 1])
    model.train_step({"images": images, "noise": noise, "labels": given})
    return [np.asarray(variable) for variable in model.variables]


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_a_step_learns_from_labels(cgan: TrainConfig, micro_batches: int) -> None:
    cgan = cgan.model_copy(update={"micro_batches": micro_batches})
    whole = step(cgan, [0, 1, 2, 3])
    other = step(cgan, [0, 1, 2, 4])
    assert any((left != right).any() for left, right in zip(whole, other, strict=True))


def test_float16_scales_the_gradients_of_classes(cgan: TrainConfig) -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        before = [np.asarray(variable) for variable in build(cgan).variables]
        after = step(cgan, [0, 1, 2, 3])
    finally:
        keras.config.set_dtype_policy(policy)
    assert any((left != right).any() for left, right in zip(before, after, strict=True))


def test_both_networks_see_the_class(cgan: TrainConfig) -> None:
    labels = tf.range(10, dtype=tf.int64)
    model = build(cgan)
    given = (tf.ones([10, 16]), tf.ones([10, 8, 8, 1]))
    for network, values in zip((model.generator, model.discriminator), given, strict=True):
        network.set_weights([30 * weight for weight in network.get_weights()])
        answers = network((values, labels)).numpy().reshape(10, -1)
        assert len(np.unique(answers, axis=0)) == 10


def test_networks_survive_a_keras_file(tmp_path: Path, cgan: TrainConfig) -> None:
    labels = tf.constant([1, 5, 9], tf.int64)
    given = (tf.random.normal([3, 16]), tf.random.normal([3, 8, 8, 1]))
    for network, values in zip(networks(cgan), given, strict=True):
        expected = network((values, labels)).numpy()
        network.save(tmp_path / "network.keras")
        restored = keras.models.load_model(tmp_path / "network.keras")
        assert restored.get_config() == network.get_config()
        np.testing.assert_array_equal(restored((values, labels)).numpy(), expected)


def test_a_grid_shows_the_classes_in_turn(run: Run) -> None:
    model = load(run)
    labels = [place % 10 for place in range(len(GRID_SEEDS))]
    drawn = sample(model.ema_generator, GRID_SEEDS, 8, classes=10, labels=labels)
    grid = picture(max(run.samples.iterdir()))
    tiles = [
        grid[10 * row + 2 : 10 * row + 10, 10 * column + 2 : 10 * column + 10]
        for row in range(6)
        for column in range(6)
    ]
    np.testing.assert_array_equal(tiles, drawn[..., 0])
    progress = picture(run.path / "progress.png")
    np.testing.assert_array_equal(progress[-12:-2], grid[:10])


def test_a_class_that_is_left_open_is_drawn_from_the_seed(run: Run) -> None:
    generator, seeds = load(run).ema_generator, range(-5, 70)
    drawn = classes_of_seeds([-1] * len(seeds), seeds, 10).numpy()
    assert set(drawn) == set(range(10))
    left_open, told = (
        sample(generator, seeds, 8, classes=10, labels=labels) for labels in (None, drawn.tolist())
    )
    np.testing.assert_array_equal(left_open, told)
    assert (left_open != sample(generator, seeds, 8, classes=10, labels=[0] * len(seeds))).any()


def test_the_command_samples_classes(run: Run, tmp_path: Path, gannet: Gannet) -> None:
    options = ("--seeds", "3,3,4", "--class", 7, "--class", -1, "--class", "2")
    code, printed, error = gannet("sample", run.path, *options, "--out", tmp_path)
    assert code == 0, error
    names = ["seed0003-class7.png", "seed0003.png", "seed0004-class2.png"]
    assert printed.split() == [str(tmp_path / name) for name in names]
    drawn = sample(load(run).ema_generator, [3, 3, 4], 8, classes=10, labels=[7, -1, 2])
    for name, image in zip(names, drawn, strict=True):
        np.testing.assert_array_equal(picture(tmp_path / name), image[..., 0])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (("--class", "ten"), "has no class 'ten'; expected one of: 0, 1, 2"),
        (("--class", 10), "has no class '10'"),
        (("--class", 1, "--class", 2), "expected one class for all 3 images or one for each; received 2"),
    ],
)
def test_a_class_that_the_run_does_not_have(
    run: Run, tmp_path: Path, gannet: Gannet, choice: tuple[object, ...], message: str
) -> None:
    code, printed, error = gannet("sample", run.path, "--seeds", "0-2", "--out", tmp_path, *choice)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert message in error
    assert not list(tmp_path.iterdir())


def test_a_folder_of_classes(tmp_path: Path, gannet: Gannet) -> None:
    images, out = tmp_path / "images", tmp_path / "run"
    for name in ("cats", "dogs"):
        fill(images / name, 12)
    command = ("train", "cgan", "--data", f"folder:{images}", "--out", out, *SMALL)
    assert gannet(*command)[0] == 0
    assert Run(out).config().class_names == ("cats", "dogs")
    assert gannet("sample", out, "--seeds", 1, "--class", "dogs", "--out", tmp_path)[0] == 0
    assert (tmp_path / "seed0001-class1.png").exists()
    assert gannet(*command)[0] == 0
    (images / "dogs").rename(images / "wolves")
    code, _, error = gannet(*command)
    assert (code, error.count("\n")) == (2, 1)
    assert "class_names ('cats', 'dogs') there, ('cats', 'wolves') here" in error


def test_a_class_without_a_good_image(tmp_path: Path, gannet: Gannet) -> None:
    images = tmp_path / "images"
    for name in ("a", "c"):
        fill(images / name, 12)
    write(images / "b" / "bad.png", b"no image")
    code, _, error = gannet("train", "cgan", "--data", f"folder:{images}", "--out", tmp_path / "run", *SMALL)
    assert code == 2
    assert "expected the classes a, b, c of folder:" in error
    assert "received a, c; every class needs an image that is whole" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cgan", "--data", "swissroll"), "cgan learns classes, and swissroll has none"),
        (("cgan", "--data", "folder:images"), "cgan learns classes, and folder:images has none"),
        (("dcgan", "--data", "digits", "--conditional"), "dcgan has no classes; choose one of cgan, or"),
        (("dcgan", "--data", "digits", "--config", "on.toml"), "dcgan has no classes"),
        (("cgan", "--data", "digits", "--config", "odd.toml"), "conditional: expected true or false"),
    ],
)
def test_what_is_wrong_with_classes_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gannet: Gannet, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "images", 3)
    Path("on.toml").write_text("conditional = true\n")
    Path("odd.toml").write_text('conditional = "yes"\n')
    code, _, error = gannet("train", *arguments, "--out", tmp_path / "run")
    assert (code, error.count("\n")) == (2, 1)
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_preset_needs_the_names_that_it_learns(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match="expected the class names of digits for cgan, received none"):
        build(config.model_copy(update={"model": "cgan"}))
    with pytest.raises(UsageError, match="dcgan has no classes"):
        build(config.model_copy(update={"class_names": DIGITS}))


def test_a_plan_counts_classes(tmp_path: Path, gannet: Gannet) -> None:
    command = ("train", "cgan", "--data", "digits", "--out", tmp_path / "run", "--dry-run", *SMALL)
    code, printed, error = gannet(*command)
    assert code == 0, error
    assert '"memory_bytes"' in printed
    assert not (tmp_path / "run").exists()


PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "conditional-models.md"
MODULE = """
import keras

class Lost(keras.Model):
    def __init__(self, shape, activation):
        super().__init__()
        self.body = keras.Sequential([keras.layers.Dense(64, activation), keras.layers.Reshape(shape)])

    def call(self, noise):
        return self.body(noise)

class Shrinking(Lost):
    def __init__(self, shape=(4, 4, 1), activation="tanh"):
        super().__init__(shape, activation)

    def get_config(self):
        return {}

def discriminator():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])

def lost(image_shape, latent_dim):
    return Lost(image_shape, lambda values: keras.ops.tanh(values)), discriminator()

def shrinking(image_shape, latent_dim):
    return Shrinking(image_shape), discriminator()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"classes_{tmp_path.name.replace('[', '_').replace(']', '_')}"
    (documented,) = re.findall(r"^```python\n# my_cgan.py\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    (tmp_path / f"{name}.py").write_text(MODULE + documented)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_factory_of_ones_own_takes_classes(gannet: Gannet, module: str) -> None:
    command = ("train", f"{module}:networks", "--data", "digits", "--conditional", "--out", "run")
    settings = ("--steps", 3, "--image-size", 8, "--latent-dim", 4, "--set", "units=5")
    code, _, error = gannet(*command, *settings)
    assert code == 0, error
    assert Run(Path("run")).config().class_names == DIGITS
    assert gannet("sample", "run", "--seeds", "0-1", "--class", "7", "--out", "out")[0] == 0


@pytest.mark.parametrize(
    ("factory", "conditional", "message"),
    [
        ("networks", (), "missing a required argument: 'classes'"),
        ("lost", ("--conditional",), "got an unexpected keyword argument 'classes'"),
        ("networks", ("--conditional", "--set", "unit=3"), "got an unexpected keyword argument 'unit'"),
    ],
)
def test_a_factory_that_cannot_be_called_so(
    gannet: Gannet, module: str, factory: str, conditional: tuple[str, ...], message: str
) -> None:
    model = f"{module}:{factory}"
    code, _, error = gannet("train", model, "--data", "digits", "--out", "run", *conditional)
    assert (code, error.count("\n")) == (2, 1)
    assert f"expected {model} to take " in error
    assert message in error
    assert not Path("run").exists()


@pytest.mark.parametrize(("factory", "kind"), [("lost", "Lost"), ("shrinking", "Shrinking")])
def test_a_network_that_cannot_be_built_again(gannet: Gannet, module: str, factory: str, kind: str) -> None:
    settings = ("--data", "digits", "--image-size", 8, "--out", "run")
    code, _, error = gannet("train", f"{module}:{factory}", *settings)
    assert (code, error.count("\n")) == (2, 1), error
    assert f"cannot build a second {kind} for its moving average" in error
    assert f"give {kind} a get_config that returns every argument of its __init__" in error
    assert not Path("run").exists()
