"""Networks of any kind export the images that they draw; what no rewriting knows stays, and is named."""

import logging
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_client.errors import ModelError
from gannet_export.rewriting import NotFreezable, Rewriting, rewrite
from tests.export import networks
from tests.export.networks import LATENT_DIM, UP, Applied, image_network, layers, network

ROWS = 40
CLASSES = 3
LEVEL = 1 / 127.5


def rows(made: keras.Model) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).normal(size=(ROWS, LATENT_DIM)).astype("float32")
    return {"noise": noise, "labels": np.arange(ROWS) % CLASSES} if len(made.inputs) > 1 else {"noise": noise}


def function(made: keras.Model) -> Any:
    specs = [tf.TensorSpec([None, LATENT_DIM], tf.float32, name="noise")]
    if len(made.inputs) > 1:
        specs.append(tf.TensorSpec([None], tf.int64, name="labels"))

    def draw(*given: tf.Tensor) -> tf.Tensor:
        return tf.cast(made(given if len(given) > 1 else given[0], training=False), tf.float32)

    return tf.function(draw, jit_compile=False).get_concrete_function(*specs)


def rewritten(made: keras.Model, **options: Any) -> tuple[Rewriting, float]:
    """The rewriting, and the largest difference between its images and the network's."""
    function_, given = function(made), [tf.constant(values) for values in rows(made).values()]
    rewriting = rewrite(function_, rows(made), **options)
    draw = rewriting.function()
    return rewriting, float(np.abs(draw(*given) - function_(*given)).max())


FASTER = "faster as it is"
UNKNOWN = "no rewriting is known"
OTHER = "not of stride 2 to twice the size, channels last"
SHARED = "another operation takes what it multiplies"
NO_KERNEL = "no kernel before it"

KINDS: dict[str, tuple[Callable[[], keras.Model], dict[str, Any]]] = {
    "normalized before a kernel": (
        lambda: image_network(layers.ReLU(), layers.BatchNormalization()),
        {"Mul": {NO_KERNEL: 1}},
    ),
    "resized": (
        lambda: image_network(
            layers.UpSampling2D(interpolation="bilinear"), layers.Conv2D(5, 3), layers.BatchNormalization()
        ),
        {"ResizeBilinear": {UNKNOWN: 1}},
    ),
    "residual": (networks.residual, {"Mul": {SHARED: 2}}),
    "depthwise": (
        lambda: image_network(
            layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization(), layers.ReLU()
        ),
        {},
    ),
    "grouped, which Keras compiles": (
        lambda: image_network(layers.Conv2D(8, 3, groups=2), layers.BatchNormalization()),
        {},
    ),
    "normalized as TensorFlow 1 does": (
        lambda: image_network(layers.Conv2D(8, 3), networks.FusedNormalization(), layers.ReLU()),
        {},
    ),
    "kernels scaled when used": (
        lambda: image_network(networks.Equalized(), layers.BatchNormalization(), channels=192),
        {},
    ),
    "halves convolved": (
        lambda: image_network(
            networks.Halves(layers.Conv2DTranspose(4, 3, **UP), layers.Conv2DTranspose(4, 3, **UP))
        ),
        {},
    ),
    "halves normalized": (
        lambda: image_network(
            layers.Conv2D(8, 3), networks.Halves(layers.BatchNormalization(), layers.BatchNormalization())
        ),
        {"Mul": {SHARED: 1, NO_KERNEL: 1}},
    ),
    "grey to colours": (
        lambda: image_network(Applied(lambda x: tf.add(x, [0.1, 0.2, 0.3]) * [2.0, 1.0, 0.5]), channels=1),
        {"Mul": {NO_KERNEL: 1}},
    ),
    "transposed otherwise": (
        lambda: image_network(
            layers.Conv2DTranspose(4, 3, strides=3, padding="same"),
            layers.Conv2DTranspose(4, 3, strides=2, padding="valid"),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=0),
            networks.Dynamic(),
        ),
        {
            "Conv2DBackpropInput": {OTHER: 3, "its kernel is computed": 1},
            "Mul": {NO_KERNEL: 1},
            "Mean": {UNKNOWN: 1},
            "Tile": {UNKNOWN: 1},
        },
    ),
    "wide and transposed": (
        lambda: image_network(layers.Conv2DTranspose(8, 5, **UP), layers.BatchNormalization()),
        {"Conv2DBackpropInput": {FASTER: 1}},
    ),
    "ends transposed": (
        lambda: network(layers.Reshape((1, 1, 6)), layers.Conv2DTranspose(3, 2, strides=2, padding="valid")),
        {},
    ),
    "normalized by groups": (
        lambda: image_network(layers.Conv2D(8, 3), layers.GroupNormalization(4)),
        {
            "Mean": {UNKNOWN: 2},
            "Mul": {UNKNOWN: 3},
            "Neg": {UNKNOWN: 1},
            "Rsqrt": {UNKNOWN: 1},
            "SquaredDifference": {UNKNOWN: 1},
        },
    ),
    "only of training": (
        lambda: image_network(
            *(layers.SpectralNormalization(layers.Conv2D(8, 3)), layers.BatchNormalization()),
            *(layers.Dropout(0.5), layers.GaussianNoise(0.1), layers.SpatialDropout2D(0.3)),
        ),
        {},
    ),
    "of labels": (networks.of_labels, None),
    "in bfloat16": (
        lambda: networks.in_policy("mixed_bfloat16", lambda: image_network(layers.Conv2D(8, 3))),
        {},
    ),
    "one pixel": (lambda: network(layers.Dense(8), layers.Reshape((1, 1, 8)), layers.Conv2D(3, 1)), {}),
    "channels first": (networks.channels_first, None),
}


@pytest.mark.parametrize(("make", "left"), KINDS.values(), ids=KINDS.keys())
def test_a_network_draws_the_same_and_what_stayed_is_named(
    make: Callable[[], keras.Model], left: dict[str, Any] | None
) -> None:
    rewriting, difference = rewritten(make())
    assert difference <= 1e-5
    assert rewriting.refused == {}
    assert left is None or rewriting.summary()["left"] == left


@pytest.mark.parametrize("kind", ["halves convolved", "of labels", "one pixel"])
def test_in_bfloat16_as_well(kind: str) -> None:
    rewriting, difference = rewritten(KINDS[kind][0](), precision="bfloat16")
    assert rewriting.precision == "bfloat16"
    assert 1e-6 < difference <= 2 * LEVEL


def on_a_device(values: tf.Tensor) -> tf.Tensor:
    with tf.device("/device:GPU:1"):
        return tf.tanh(values)


def test_a_device_that_the_network_names_is_not_that_of_a_server() -> None:
    rewriting, _ = rewritten(image_network(Applied(on_a_device)))
    assert {node.device for node in rewriting.graph.nodes.values()} == {""}


@settings(deadline=None, max_examples=8)
@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.sampled_from([1, 2, 2, 2, 3, (2, 1)]),
    padding=st.sampled_from(["same", "valid"]),
    normalized=st.booleans(),
)
def test_a_transposed_convolution_of_any_form(
    kernel: tuple[int, int], strides: Any, padding: str, normalized: bool
) -> None:
    between = [layers.BatchNormalization()] if normalized else []
    made = network(
        *(layers.Dense(18), layers.Reshape((3, 2, 3))),
        *(layers.Conv2DTranspose(4, kernel, strides=strides, padding=padding), *between, layers.LeakyReLU()),
        *(
            layers.Conv2DTranspose(3, kernel[::-1], strides=strides, padding=padding),
            layers.Activation("tanh"),
        ),
    )
    rewriting, difference = rewritten(made)
    assert difference <= 1e-5
    assert rewriting.refused == {}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(
            lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x, lambda: -x), "loops or branches", id="branch"
        ),
        pytest.param(lambda x: tf.map_fn(tf.tanh, x), "loops or branches", id="loop"),
        pytest.param(lambda x: x * _looked_up(x), "it does not draw the same", id="table"),
    ],
)
def test_what_is_no_graph_of_constants(made: Callable[[Any], Any], reason: str) -> None:
    with pytest.raises(NotFreezable, match=reason):
        rewritten(image_network(Applied(made)))


def _looked_up(values: Any) -> Any:
    pairs = tf.lookup.KeyValueTensorInitializer([0, 1], [1.0, 2.0])
    table = tf.lookup.StaticHashTable(pairs, 0.0)
    return table.lookup(tf.cast(values[:1, 0, 0, 0] * 0, tf.int32))


def difference_of_twins(weight: float) -> keras.Model:
    """Its last convolution draws the small difference of two large products, which eight bits cannot hold."""
    made = image_network(layers.Conv2D(2, 3, padding="same"))
    made.layers[-1].activation = keras.activations.linear
    *_, kernel, bias, last, last_bias = made.weights
    kernel.assign(np.repeat(kernel.numpy()[..., :1], 2, axis=-1) / 20)
    bias.assign(tf.zeros_like(bias))
    values = np.zeros(last.shape, "float32")
    values[1, 1] = [[weight + 0.3] * 3, [-weight] * 3]
    last.assign(values)
    last_bias.assign(tf.zeros_like(last_bias))
    return made


def test_the_last_convolution_stays_in_float32_where_it_has_to(caplog: pytest.LogCaptureFixture) -> None:
    rewriting, difference = rewritten(difference_of_twins(100.3), precision="bfloat16", strict=True)
    assert "the last convolution stays in float32" in caplog.text
    assert difference <= 2 * LEVEL
    assert rewriting.precision == "bfloat16"
    assert rewriting.left() == {"Conv2D": {"the images would not be the same": 1}}


def exaggerated() -> keras.Model:
    made = image_network(layers.Conv2DTranspose(8, 5, **UP), layers.Conv2D(8, 3, padding="same"))
    made.layers[-1].kernel.assign(made.layers[-1].kernel * 12)
    return made


def test_all_stays_in_float32_or_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    made = exaggerated()
    with pytest.raises(ModelError, match=r"expected images within two grey levels .* nothing was published"):
        rewritten(made, precision="bfloat16", strict=True)
    rewriting, difference = rewritten(made, precision="bfloat16")
    assert "the export stays in float32" in caplog.text
    assert difference <= 1e-5
    assert rewriting.left() == {
        "Conv2DBackpropInput": {FASTER: 1},
        "convolutions in bfloat16": {"the images would not be the same": 2},
    }


def test_a_single_convolution_that_needs_float32_is_no_half_measure() -> None:
    made = network(layers.Dense(16), layers.Reshape((2, 2, 4)), layers.Conv2D(3, 1))
    made.layers[-1].kernel.assign(made.layers[-1].kernel * 100)
    with pytest.raises(ModelError, match="expected images within two grey levels"):
        rewritten(made, precision="bfloat16", strict=True)


def test_the_log_names_what_was_done_and_what_stayed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gannet_export"):
        rewritten(KINDS["normalized before a kernel"][0](), precision="bfloat16")
        rewritten(network(layers.Dense(12), layers.Reshape((2, 2, 3))), precision="bfloat16")
    assert "left as they are, no kernel before it: 1 Mul" in caplog.text
    assert "1 convolutions in bfloat16" in caplog.text
    assert "there is no convolution to compute in bfloat16" in caplog.text
