"""Generators with truncation and codes, from the export to what a server answers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gannet_client import contract
from gannet_export import export, noise
from gannet_export.conditions import Codes

LATENT_DIM = 4
CODES = 3
BY_SEEDS = (contract.SEEDED_PIXELS, contract.SEEDED_PNG)


@keras.saving.register_keras_serializable("tests")
class Style(keras.Model):
    """Two layers in the manner of StyleGAN: a mapping to styles, truncated to their mean, and a synthesis."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = keras.layers.Dense(6, "leaky_relu", kernel_initializer="he_normal")
        self.synthesis = keras.layers.Dense(64, "tanh", kernel_initializer="he_normal")
        self.average = self.add_weight(shape=(6,), initializer="zeros", trainable=False, name="average")

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        latents, truncation = inputs
        style = self.mapping(latents)
        style = self.average + truncation[:, None] * (style - self.average)
        return tf.reshape(self.synthesis(style), [-1, 8, 8, 1])


@pytest.fixture(scope="module")
def style() -> Style:
    keras.utils.set_random_seed(1)
    made = Style()
    made((tf.zeros([1, LATENT_DIM]), tf.ones([1])))
    made.average.assign([0.5, -0.2, 0.1, 0.3, 0.0, 0.4])
    return made


@pytest.fixture(scope="module")
def coded() -> keras.Model:
    keras.utils.set_random_seed(2)
    given, codes = keras.Input([LATENT_DIM]), keras.Input([CODES])
    both = keras.layers.Concatenate()([given, codes])
    images = keras.layers.Reshape([6, 6, 1])(
        keras.layers.Dense(36, "tanh", kernel_initializer="he_normal")(both)
    )
    return keras.Model((given, codes), images)


Ask = Callable[..., np.ndarray]


def asking(version: Path) -> Iterator[Ask]:
    """Asks a signature as TensorFlow Serving does, in a v1 Session."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version))

    def answer(name: str, **given: Any) -> np.ndarray:
        signature = loaded.signature_def[name]
        assert given.keys() == signature.inputs.keys()
        (output,) = signature.outputs.values()
        return session.run(output.name, {signature.inputs[key].name: value for key, value in given.items()})

    yield answer
    session.close()


@pytest.fixture(scope="module")
def ask_style(style: Style, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    models = tmp_path_factory.mktemp("models")
    yield from asking(export(style, models, "style", latent_dim=LATENT_DIM, truncation=True))


@pytest.fixture(scope="module")
def ask_coded(coded: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    models = tmp_path_factory.mktemp("models")
    yield from asking(export(coded, models, "coded", latent_dim=LATENT_DIM, codes=CODES))


def latents(*seeds: int) -> np.ndarray:
    return noise(seeds, LATENT_DIM).numpy()


def card(ask: Ask) -> dict[str, Any]:
    return dict(json.loads(ask("card", rows=[0])[0]))


def test_the_card_names_the_conditions(ask_style: Ask, ask_coded: Ask) -> None:
    assert (card(ask_style)["conditions"], card(ask_style)["codes"]) == (["truncation"], None)
    assert (card(ask_coded)["conditions"], card(ask_coded)["codes"]) == (["codes"], CODES)


def test_truncation_is_the_generators_and_of_each_row(ask_style: Ask, style: Style) -> None:
    given, truncation = latents(1, 1, 1, 2, 3), np.float32([1, 0.5, 0, 0, 2])
    images = ask_style("serving_default", noise=given, truncation=truncation)
    np.testing.assert_allclose(images, style((given, truncation)).numpy(), atol=1e-5)
    np.testing.assert_allclose(images[2], images[3], atol=1e-6)
    assert np.abs(images[0] - images[2]).max() > 0.1
    seeded = ask_style("seeded_pixels", seeds=[1, 1, 1, 2, 3], truncation=truncation)
    np.testing.assert_array_equal(seeded, ask_style("pixels", noise=given, truncation=truncation))


@pytest.mark.parametrize("impossible", [np.nan, np.inf, -np.inf])
def test_an_impossible_condition_is_black_and_harms_no_neighbour(
    ask_style: Ask, ask_coded: Ask, impossible: float
) -> None:
    for seeded in (True, False):
        rows = {"seeds": [4, 5, 6]} if seeded else {"noise": latents(4, 5, 6)}
        ask, expected = ("seeded_pixels", "seeded_pixels") if seeded else ("pixels", "pixels")
        styled = ask_style(ask, **rows, truncation=[1, impossible, 0.5])
        np.testing.assert_array_equal(
            styled[[0, 2]], ask_style(expected, **rows, truncation=[1, 1, 0.5])[[0, 2]]
        )
        assert not styled[1].any()
        if np.isinf(impossible):
            codes = np.zeros([3, CODES], np.float32)
            harmless = ask_coded(expected, **rows, codes=codes)
            codes[1, 2] = impossible
            received = ask_coded(ask, **rows, codes=codes)
            np.testing.assert_array_equal(received[[0, 2]], harmless[[0, 2]])
            assert not received[1].any()


def test_codes_reach_the_generator(ask_coded: Ask, coded: keras.Model) -> None:
    given, codes = latents(1, 1), np.float32([[-1, 0, 1], [1, 0, -1]])
    images = ask_coded("serving_default", noise=given, codes=codes)
    np.testing.assert_allclose(images, coded((given, codes)).numpy(), atol=1e-5)
    assert np.abs(images[0] - images[1]).max() > 0.1


def test_open_codes_are_drawn_from_seed_or_noise_alone(ask_coded: Ask) -> None:
    seeds = np.array([7, -1, 2**63 - 1, 7])
    nothing = np.full([4, CODES], np.nan, np.float32)
    by_seeds = Codes(CODES).of_seeds(tf.constant(nothing), tf.constant(seeds)).numpy()
    by_noise = Codes(CODES).of_noise(tf.constant(nothing), tf.constant(latents(*seeds))).numpy()
    for drawn in (by_seeds, by_noise):
        assert (np.abs(drawn) <= 1).all() and len(np.unique(drawn)) == 9
        np.testing.assert_array_equal(drawn[0], drawn[3])
    np.testing.assert_array_equal(
        ask_coded("seeded_pixels", seeds=seeds, codes=nothing),
        ask_coded("seeded_pixels", seeds=seeds, codes=by_seeds),
    )
    np.testing.assert_array_equal(
        ask_coded("pixels", noise=latents(*seeds), codes=nothing),
        ask_coded("pixels", noise=latents(*seeds), codes=by_noise),
    )


def test_a_code_may_be_given_and_the_others_left_open() -> None:
    given = tf.constant([[0.25, np.nan, np.nan]], tf.float32)
    whole = Codes(CODES).of_seeds(tf.fill([1, CODES], float("nan")), tf.constant([5], tf.int64)).numpy()
    part = Codes(CODES).of_seeds(given, tf.constant([5], tf.int64)).numpy()
    np.testing.assert_array_equal(part, [[0.25, *whole[0, 1:]]])


def test_drawn_codes_are_even() -> None:
    seeds = tf.range(4000, dtype=tf.int64)
    draw = tf.function(Codes(2).of_seeds)
    drawn = draw(tf.fill([4000, 2], float("nan")), seeds).numpy()
    counts, _ = np.histogram(drawn[:, 0], 10, (-1, 1))
    assert abs(drawn.mean()) < 0.05 and counts.min() > 330
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.06


@pytest.mark.parametrize("name", contract.SIGNATURES)
def test_no_rows_give_no_rows(ask_style: Ask, ask_coded: Ask, name: str) -> None:
    empty = {
        "noise": np.zeros([0, LATENT_DIM]),
        "seeds": np.zeros([0], np.int64),
        "rows": np.zeros([0], np.int64),
        "truncation": np.zeros([0]),
        "codes": np.zeros([0, CODES]),
    }
    for ask in (ask_style, ask_coded):
        aliases = contract.inputs(name, card(ask)["conditions"])
        assert len(ask(name, **{alias: empty[alias] for alias in aliases})) == 0


def test_all_conditions_together_and_in_the_order_of_the_contract(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    given = (keras.Input([LATENT_DIM]), keras.Input([], dtype="int64"), keras.Input([2]), keras.Input([]))
    embedded = keras.layers.Embedding(3, 4)(given[1])
    style = keras.layers.Dense(8)(keras.layers.Concatenate()([given[0], embedded, given[2]]))
    truncated = style * keras.layers.Reshape([1])(given[3])
    network = keras.Model(given, keras.layers.Reshape([4, 2, 1])(keras.ops.tanh(truncated)))
    version = export(network, tmp_path, "all", latent_dim=LATENT_DIM, classes="abc", codes=2, truncation=True)
    described = json.loads((version / contract.CARD_FILE).read_text(encoding="utf-8"))
    assert described["conditions"] == list(contract.CONDITIONS)
    assert described["gate"]["passed"]
