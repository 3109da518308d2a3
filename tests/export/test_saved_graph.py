"""What stands in the SavedModel of an export: what the images need, and nothing else."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
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


def operations_behind(version: Path, signature: str) -> set[str]:
    """What runs for a signature: the node of its output, what that takes, and the functions that it calls."""
    graph = meta_graph(version).graph_def
    functions = {function.signature.name: function for function in graph.library.function}
    named = {node.name: node for node in graph.node}
    (output,) = meta_graph(version).signature_def[signature].outputs.values()
    waiting, reached, called = [output.name], dict[str, Any](), set[str]()
    while waiting:
        name = waiting.pop().lstrip("^").split(":")[0]
        if name not in reached:
            reached[name] = named[name]
            waiting += named[name].input
    running = list(reached.values())
    for node in running:
        for attribute in node.attr.values():
            if (function := attribute.func.name) and function not in called:
                called.add(function)
                running += functions[function].node_def
    return {node.op for node in running}


def test_the_tool_of_tensorflow_reads_it(
    version: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["saved_model_cli", "show", "--dir", str(version), "--all"])
    with pytest.raises(SystemExit):
        saved_model_cli.main()
    shown = capsys.readouterr().out
    assert all(f"signature_def['{name}']" in shown for name in contract.SIGNATURES)
    assert "shape: (-1, 6)" in shown


@pytest.mark.parametrize("options", [{}, PLAIN], ids=["rewritten", "plain"])
def test_nothing_of_training_is_left(version: Path, publish: Publish, options: dict[str, Any]) -> None:
    found = publish(**options) if options else version
    drawing = operations_behind(found, contract.SERVING_DEFAULT)
    assert {"MatMul", "Tanh"} <= drawing
    assert not [name for name in drawing if "Random" in name]
    # Noise is drawn from seeds, by operations of the kind that dropout draws by.
    assert [name for name in operations_behind(found, contract.LATENTS) if "StatelessRandom" in name]
    assert not {"If", "StatelessIf", "Switch"} & {node.op for node in nodes(found)}


def test_default_attributes_are_stripped(version: Path) -> None:
    assert meta_graph(version).meta_info_def.stripped_default_attrs
    convolutions = [node for node in nodes(version) if node.op in ("Conv2D", "Conv2DBackpropInput")]
    assert convolutions
    assert not any({"dilations", "use_cudnn_on_gpu"} & node.attr.keys() for node in convolutions)
