"""The rewriting of a generator's graph: faster, and the same images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_client.errors import ModelError, UsageError
from gannet_export import export
from gannet_export.rewriting import Rewriting, rewrite
from gannet_export.rewriting.subpixel import phases

LATENT_DIM = 6
layers = keras.layers


def concrete(network: keras.Model) -> Any:
    traced = tf.function(lambda noise: network(noise, training=False), jit_compile=False)
    return traced.get_concrete_function(tf.TensorSpec([None, LATENT_DIM], tf.float32, name="noise"))


def rows(count: int = 40) -> dict[str, np.ndarray]:
    return {"noise": np.random.default_rng(0).normal(size=(count, LATENT_DIM)).astype("float32")}


def network(*blocks: keras.layers.Layer) -> keras.Model:
    """With weights that make every layer do something, as if it were trained."""
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input([LATENT_DIM]), *blocks])
    random = np.random.default_rng(1)
    for weight in made.weights:
        low, high = (0.5, 2.0) if "variance" in weight.path or "gamma" in weight.path else (-0.3, 0.3)
        weight.assign(random.uniform(low, high, weight.shape))
    return made


def drawn(rewriting: Rewriting) -> np.ndarray:
    return np.asarray(rewriting.function()(rows()["noise"]))


def operations(rewriting: Rewriting) -> Sequence[str]:
    return sorted(node.op for node in rewriting.graph.nodes.values() if node.op != "Const")


def dcgan() -> keras.Model:
    up = {"strides": 2, "padding": "same"}
    return network(
        *(layers.Dense(4 * 4 * 8, use_bias=False), layers.Reshape((4, 4, 8))),
        *(layers.BatchNormalization(), layers.ReLU()),
        *(layers.Conv2DTranspose(6, 5, **up), layers.BatchNormalization(), layers.LeakyReLU(0.2)),
        *(layers.Conv2DTranspose(3, 5, **up), layers.Activation("tanh")),
    )


@settings(deadline=None, max_examples=40)
@given(
    kernel=st.integers(2, 7),
    side=st.integers(1, 4),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_a_convolution_of_all_phases_is_the_transposed_one(
    kernel: int, side: int, channels: tuple[int, int]
) -> None:
    random = np.random.default_rng(kernel)
    given, depth = channels
    taps = random.normal(size=(kernel, kernel, depth, given)).astype("float32")
    image = random.normal(size=(2, side, side, given)).astype("float32")
    expected = tf.nn.conv2d_transpose(image, taps, [2, 2 * side, 2 * side, depth], 2, "SAME")
    received = tf.nn.depth_to_space(tf.nn.conv2d(image, phases(taps), 1, "SAME"), 2)
    np.testing.assert_allclose(received, expected, atol=1e-4)


def test_a_dcgan_becomes_a_chain_of_kernels_biases_and_activations() -> None:
    rewriting = rewrite(concrete(dcgan()), rows())
    kept = [op for op in operations(rewriting) if op not in ("Identity", "Pack", "Shape", "StridedSlice")]
    assert kept == sorted(
        [
            *("Placeholder", "MatMul", "Reshape", "BiasAdd", "Relu"),
            *("Conv2DBackpropInput", "BiasAdd", "LeakyRelu"),
            *("Conv2D", "BiasAdd", "DepthToSpace", "Tanh"),
        ]
    )
    assert rewriting.report["scales folded into kernels"] == 2
    assert rewriting.report["transposed convolutions as sub-pixels"] == 1


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(lambda: [layers.Dense(12), layers.BatchNormalization()], id="dense with bias"),
        pytest.param(
            lambda: [layers.Reshape((1, 1, 6)), layers.Conv2D(5, 1), layers.BatchNormalization()],
            id="convolution with bias",
        ),
        pytest.param(
            lambda: [layers.Dense(12), layers.BatchNormalization(scale=False, center=False)],
            id="neither scale nor centre",
        ),
        pytest.param(
            lambda: [layers.Dense(8), layers.BatchNormalization(), layers.BatchNormalization()], id="twice"
        ),
    ],
)
def test_batch_normalization_disappears(blocks: Any) -> None:
    made = network(*blocks(), layers.Flatten(), layers.Dense(4, "tanh"))
    rewriting = rewrite(concrete(made), rows())
    assert not {"Mul", "Rsqrt", "Sub"} & set(operations(rewriting))
    np.testing.assert_allclose(drawn(rewriting), made(rows()["noise"], training=False), atol=1e-5)


def test_what_has_no_linear_operation_before_it_stays() -> None:
    made = network(layers.ReLU(), layers.BatchNormalization(), layers.Dense(4, "tanh"))
    rewriting = rewrite(concrete(made), rows())
    assert "Mul" in operations(rewriting)
    assert rewriting.report["scales folded into kernels"] == 0


def test_a_branch_is_not_scaled_with_its_sibling() -> None:
    keras.utils.set_random_seed(0)
    noise = keras.Input([LATENT_DIM])
    shared = layers.Dense(5)(noise)
    joined = layers.Concatenate()([layers.BatchNormalization()(shared), shared])
    made = keras.Model(noise, layers.Dense(3, "tanh")(joined))
    for weight in made.weights:
        weight.assign(np.random.default_rng(2).uniform(0.5, 1.5, weight.shape))
    rewriting = rewrite(concrete(made), rows())
    np.testing.assert_allclose(drawn(rewriting), made(rows()["noise"], training=False), atol=1e-5)
    assert "Mul" in operations(rewriting)


def test_bfloat16_convolves_in_half_and_keeps_the_edges() -> None:
    made = dcgan()
    rewriting = rewrite(concrete(made), rows(), precision="bfloat16")
    kinds = {
        node.op: tf.as_dtype(node.attr["T"].type).name
        for node in rewriting.graph.nodes.values()
        if node.op in ("MatMul", "Conv2D", "Tanh")
    }
    assert kinds == {"MatMul": "float32", "Conv2D": "bfloat16", "Tanh": "float32"}
    levels = np.abs(drawn(rewriting) - made(rows()["noise"], training=False)) * 127.5
    assert 0 < levels.max() <= 2.5
    assert levels.mean() <= 0.5


def test_bfloat16_that_draws_other_images_is_left_out_or_refused() -> None:
    """A last layer with huge, cancelling weights, which eight bits cannot hold."""
    made = network(
        *(layers.Dense(4 * 4 * 8), layers.Reshape((4, 4, 8)), layers.Conv2D(8, 3, padding="same")),
        *(layers.Conv2D(1, 1), layers.Activation("tanh")),
    )
    for weight in made.weights[2:]:
        weight.assign(weight * 40)
    with pytest.raises(ModelError, match="two grey levels in bfloat16"):
        rewrite(concrete(made), rows(), precision="bfloat16", strict=True)
    rewriting = rewrite(concrete(made), rows(), precision="bfloat16")
    np.testing.assert_allclose(drawn(rewriting), made(rows()["noise"], training=False), atol=1e-4)


def card(version: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((version / "assets.extra" / "gannet.json").read_text())
    return found


def size(version: Path) -> int:
    return sum(file.stat().st_size for file in version.rglob("*") if file.is_file())


def wide() -> keras.Model:
    up = {"strides": 2, "padding": "same"}
    made = network(
        *(layers.Dense(4 * 4 * 64, use_bias=False), layers.Reshape((4, 4, 64)), layers.BatchNormalization()),
        *(layers.ReLU(), layers.Conv2DTranspose(64, 5, **up), layers.BatchNormalization(), layers.ReLU()),
        *(layers.Conv2DTranspose(3, 5, **up), layers.Activation("tanh")),
    )
    for weight in made.weights:
        weight.assign(weight * (0.1 if "kernel" in weight.path else 1.0))
    return made


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_export_keeps_one_copy_of_the_weights_as_constants(tmp_path: Path, precision: Any) -> None:
    made = wide()
    version = export(made, tmp_path, "wide", latent_dim=LATENT_DIM, precision=precision)
    assert card(version)["graph"]["precision"] == precision
    weights = sum(weight.nbytes for weight in made.get_weights())
    half = 25 / 36 if precision == "float32" else 0.5
    assert (version / "saved_model.pb").stat().st_size < 36 / 25 * half * weights + 200_000
    assert size(version / "variables") < 1000


def test_a_plain_export_keeps_the_graph_as_keras_has_it(tmp_path: Path) -> None:
    version = export(dcgan(), tmp_path, "plain", latent_dim=LATENT_DIM, plain=True)
    assert card(version)["graph"] == {"precision": "float32", "rewritten": {}, "left": {}}
    assert size(version / "variables") > 1000
    with pytest.raises(UsageError, match="plain export computes as Keras does, received precision bfloat16"):
        export(dcgan(), tmp_path, "plain", latent_dim=LATENT_DIM, plain=True, precision="bfloat16")


@keras.saving.register_keras_serializable("tests")
class Halving(keras.layers.Layer):
    """Divides until everything is below 1: a loop whose end depends on the values."""

    def call(self, values: tf.Tensor) -> tf.Tensor:
        (values,) = tf.while_loop(
            lambda x: tf.reduce_any(tf.abs(x) >= 1), lambda x: (tf.where(tf.abs(x) >= 1, x / 2, x),), [values]
        )
        return values


def test_what_is_no_single_graph_is_exported_plainly_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = network(layers.Dense(12), Halving(), layers.Reshape((2, 2, 3)))
    version = export(made, tmp_path, "loop", latent_dim=LATENT_DIM)
    assert "exported as Keras has it: it has loops or branches" in caplog.text
    assert card(version)["graph"]["rewritten"] == {}
    with pytest.raises(ModelError, match="loops or branches; nothing was published"):
        export(made, tmp_path, "loop", latent_dim=LATENT_DIM, strict=True)
