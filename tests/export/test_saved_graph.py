"""What stands in the SavedModel of an export: what the images need, and nothing else."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.tools import saved_model_cli

from gannet_client import contract
from gannet_export import export
from tests.export.networks import LATENT_DIM, UP, layers, network

PLAIN = {"plain": True}


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return network(
        *(layers.Dense(128), layers.Reshape((4, 4, 8)), layers.Dropout(0.5), layers.GaussianNoise(0.3)),
        *(layers.BatchNormalization(), layers.SpectralNormalization(layers.Conv2D(6, 3)), layers.ReLU()),
        *(layers.Conv2DTranspose(3, 5, **UP), layers.Activation("tanh")),
    )


Publish = Callable[..., Path]


@pytest.fixture(scope="module")
def publish(generator: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Publish:
    models = tmp_path_factory.mktemp("models")
    return lambda **options: export(generator, models, "tiny", latent_dim=LATENT_DIM, max_batch=2, **options)


@pytest.fixture(scope="module")
def version(publish: Publish) -> Path:
    return publish()


def meta_graph(version: Path) -> Any:
    (found,) = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs
    return found


def nodes(version: Path) -> list[Any]:
    graph = meta_graph(version).graph_def
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


def pixels(version: Path) -> np.ndarray:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(version)).signature_def[
            "seeded_pixels"
        ]
        return session.run(signature.outputs["pixels"].name, {signature.inputs["seeds"].name: np.arange(50)})


def test_the_tool_of_tensorflow_reads_it(
    version: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["saved_model_cli", "show", "--dir", str(version), "--all"])
    with pytest.raises(SystemExit):
        saved_model_cli.main()
    shown = capsys.readouterr().out
    assert all(f"signature_def['{name}']" in shown for name in contract.SIGNATURES)
    assert "shape: (-1, 6)" in shown


def test_an_export_made_twice_draws_the_same(version: Path, publish: Publish) -> None:
    again = publish()
    assert again != version
    np.testing.assert_array_equal(pixels(again), pixels(version))


@pytest.mark.parametrize("options", [{}, PLAIN], ids=["rewritten", "plain"])
def test_nothing_of_training_is_left(version: Path, publish: Publish, options: dict[str, Any]) -> None:
    found = {node.op for node in nodes(publish(**options) if options else version)}
    assert not {"RandomUniform", "RandomStandardNormal", "If", "StatelessIf", "Switch"} & found


def test_default_attributes_are_stripped(version: Path) -> None:
    assert meta_graph(version).meta_info_def.stripped_default_attrs
    convolutions = [node for node in nodes(version) if node.op in ("Conv2D", "Conv2DBackpropInput")]
    assert convolutions
    assert not any({"dilations", "use_cudnn_on_gpu"} & node.attr.keys() for node in convolutions)
