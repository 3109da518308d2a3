"""Models with classes: labels in every image signature, and classes that follow from seed or noise."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from gannet_client import contract
from gannet_export import export, noise, to_pixels
from gannet_export.conditions import classes_of_noise, classes_of_seeds
from gannet_training.models.cgan import CGANGenerator

LATENT_DIM = 5
NAMES = ("cat", "dog", "größe")
ANY = np.array([-1])
BY_NOISE = (contract.SERVING_DEFAULT, contract.PIXELS, contract.PNG)
BY_SEEDS = (contract.SEEDED_PIXELS, contract.SEEDED_PNG)
int64s = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    shape = {"image_size": 8, "channels": 1, "width": 4}
    generator = CGANGenerator(**shape, classes=len(NAMES), latent_dim=LATENT_DIM)
    generator((tf.zeros([1, LATENT_DIM]), tf.zeros([1], tf.int64)))
    generator.set_weights([10.0 * weight for weight in generator.get_weights()])
    return generator


@pytest.fixture(scope="module")
def version(generator: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    return export(generator, models, "animals", latent_dim=LATENT_DIM, family="cgan", classes=NAMES)


Ask = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def ask(version: Path) -> Iterator[Ask]:
    """Asks a signature as TensorFlow Serving does, in a v1 Session."""
    with tf.Graph().as_default():
        session = tf.compat.v1.Session()
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version))

    def answer(name: str, **given: Any) -> np.ndarray:
        signature = loaded.signature_def[name]
        assert given.keys() == signature.inputs.keys()
        ((_, fetch),) = signature.outputs.items()
        return session.run(fetch.name, {signature.inputs[key].name: value for key, value in given.items()})

    yield answer
    session.close()


def latents(*seeds: int) -> np.ndarray:
    return noise(seeds, LATENT_DIM).numpy()


def test_labels_are_an_input_of_every_image_signature(version: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(version)).signature_def
    for name in contract.SIGNATURES:
        given = signatures[name].inputs
        labelled = name in (*BY_NOISE, *BY_SEEDS)
        assert len(given) == 1 + labelled
        if labelled:
            assert tf.as_dtype(given["labels"].dtype) == tf.int64
            assert tf.TensorShape(given["labels"].tensor_shape).as_list() == [None]


def test_the_card_names_the_classes(version: Path) -> None:
    card = json.loads((version / contract.CARD_FILE).read_text(encoding="utf-8"))
    assert (card["classes"], card["conditions"]) == (list(NAMES), ["labels"])


def test_images_are_the_generators_of_that_class(ask: Ask, generator: keras.Model) -> None:
    z, labels = latents(4, 4, 4), np.arange(3)
    images = ask("serving_default", noise=z, labels=labels)
    np.testing.assert_allclose(images, generator((z, labels)).numpy(), atol=1e-5)
    assert len(np.unique(images.reshape(3, -1), axis=0)) == 3
    pixels = ask("pixels", noise=z, labels=labels)
    np.testing.assert_array_equal(pixels, to_pixels(images).numpy())
    np.testing.assert_array_equal(ask("seeded_pixels", seeds=[4, 4, 4], labels=labels), pixels)
    for files in (ask("png", noise=z, labels=labels), ask("seeded_png", seeds=[4] * 3, labels=labels)):
        np.testing.assert_array_equal(np.stack([tf.io.decode_png(file) for file in files]), pixels)


def test_an_open_class_is_the_one_that_seed_or_noise_draw(ask: Ask) -> None:
    seeds = np.array([*range(40), -1, 2**63 - 1, -(2**63)])
    labels = np.full(len(seeds), -1)
    by_seeds = classes_of_seeds(labels, seeds, 3).numpy()
    by_noise = classes_of_noise(labels, latents(*seeds), 3).numpy()
    assert set(by_seeds) == set(by_noise) == {0, 1, 2}
    np.testing.assert_array_equal(
        ask("seeded_pixels", seeds=seeds, labels=labels), ask("seeded_pixels", seeds=seeds, labels=by_seeds)
    )
    np.testing.assert_array_equal(
        ask("pixels", noise=latents(*seeds), labels=labels),
        ask("pixels", noise=latents(*seeds), labels=by_noise),
    )


@pytest.mark.parametrize("impossible", [-2, 3, 2**63 - 1, -(2**63)])
def test_a_class_that_does_not_exist_is_black_and_harms_no_neighbour(ask: Ask, impossible: int) -> None:
    seeds, labels, harmless = np.arange(3), np.array([1, impossible, -1]), np.array([1, 0, -1])
    for name, black in (("serving_default", np.nan), ("pixels", 0), ("seeded_pixels", 0)):
        given = {"seeds": seeds} if name in BY_SEEDS else {"noise": latents(*seeds)}
        received, expected = ask(name, **given, labels=labels), ask(name, **given, labels=harmless)
        np.testing.assert_array_equal(received[[0, 2]], expected[[0, 2]])
        np.testing.assert_array_equal(received[1], np.full_like(received[1], black))


@pytest.mark.parametrize("signature", [*BY_NOISE, *BY_SEEDS])
def test_no_rows_give_no_rows(ask: Ask, signature: str) -> None:
    given = {"noise": np.zeros([0, 5])} if signature in BY_NOISE else {"seeds": np.zeros([0], np.int64)}
    assert len(ask(signature, **given, labels=np.zeros([0], np.int64))) == 0


@pytest.mark.parametrize("count", [2, 3, 10, 1000])
def test_open_classes_are_even(count: int) -> None:
    """The probability of failing by chance is below one in a million; seeds are fixed."""
    seeds = np.arange(-10_000, 10_000)
    labels = np.full(len(seeds), -1)
    far = seeds << 40
    for drawn in (
        classes_of_seeds(labels, seeds, count),
        classes_of_seeds(labels, far, count),
        classes_of_noise(labels, np.random.RandomState(0).standard_normal([len(seeds), 3]), count),
        classes_of_noise(labels, np.float32(seeds)[:, None] * np.eye(1, 4, dtype=np.float32), count),
    ):
        assert chisquare(np.bincount(drawn.numpy(), minlength=count)).pvalue > 1e-6


def test_the_noise_of_a_seed_does_not_tell_its_class() -> None:
    seeds = np.arange(20_000)
    drawn = classes_of_seeds(np.full(len(seeds), -1), seeds, 2).numpy()
    z = tf.function(noise)(tf.constant(seeds), 8).numpy()
    means = [z[drawn == value].mean(axis=0) for value in (0, 1)]
    assert np.abs(means[0] - means[1]).max() < 5 * np.sqrt(4 / len(seeds))


@settings(max_examples=20, deadline=None)
@given(seeds=st.lists(int64s, min_size=1, max_size=20), data=st.data())
def test_an_open_class_follows_from_its_row_alone(seeds: list[int], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(seeds) - 1))
    together = classes_of_seeds(np.full(len(seeds), -1), seeds, 10).numpy()
    assert classes_of_seeds(ANY, seeds[row : row + 1], 10).numpy() == together[row]
    z = latents(*seeds)
    together = classes_of_noise(np.full(len(seeds), -1), z, 10).numpy()
    assert classes_of_noise(ANY, z[row : row + 1], 10).numpy() == together[row]


def test_every_number_of_the_noise_and_its_place_count() -> None:
    z = np.tile(np.float32([1, 2, 3]), (64, 1))
    assert len(np.unique(classes_of_noise(np.full(64, -1), z, 1000))) == 1
    for place in range(3):
        other = z.copy()
        other[:, place] += np.arange(64) * 2**-20
        assert len(np.unique(classes_of_noise(np.full(64, -1), other, 2**30))) == 64
    swapped = classes_of_noise([-1, -1], np.float32([[1, 2, 3], [2, 1, 3]]), 2**30).numpy()
    assert swapped[0] != swapped[1]


class Deaf(keras.layers.Layer):
    """Leaves the labels out."""

    def call(self, given: Any) -> tf.Tensor:
        return given[0]


def deaf_generator() -> keras.Model:
    z, labels = keras.Input([LATENT_DIM]), keras.Input([], dtype="int64")
    images = keras.layers.Reshape([4, 4, 1])(keras.layers.Dense(16, "tanh")(Deaf()((z, labels))))
    return keras.Model((z, labels), images)


def test_a_generator_of_the_users_own_has_classes_too(tmp_path: Path) -> None:
    directory = export(deaf_generator(), tmp_path, "deaf", latent_dim=LATENT_DIM, classes=["a", "b"])
    assert json.loads((directory / contract.CARD_FILE).read_text())["classes"] == ["a", "b"]
