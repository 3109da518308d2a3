"""A model that two devices trained is exported for servers that have neither."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from gannet_export import export
from gannet_training.adversarial import AdversarialModel
from gannet_training.config import TrainConfig
from gannet_training.data import open_data
from gannet_training.pipeline import batches
from gannet_training.trainer import build

DRAWING = ("ReadVariableOp", "MatMul", "Conv2D", "Conv2DBackpropInput", "BiasAdd", "Tanh")


@pytest.fixture(scope="module")
def model(mirrored: tf.distribute.Strategy) -> AdversarialModel:
    config = TrainConfig(model="dcgan", data="digits", image_size=8, channels=1, latent_dim=16, width=4)
    with mirrored.scope():
        made = build(config)
    data = open_data(config.data, image_size=config.image_size)
    made.fit(
        batches(data, batch_size=16, draws=made.draws, seed=0), steps_per_epoch=2, shuffle=False, verbose=0
    )
    return made


@pytest.mark.parametrize("options", [{}, {"plain": True}], ids=["rewritten", "plain"])
def test_no_device_is_named(tmp_path: Path, model: AdversarialModel, options: dict[str, Any]) -> None:
    version = export(model.ema_generator, tmp_path, "digits", latent_dim=16, max_batch=4, **options)
    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert {node.device for node in nodes if node.op in DRAWING} == {""}
    # Whole names are those of the devices that trained; TensorFlow itself has "/device:CPU:0" read files.
    assert b"replica:" not in graph.SerializeToString()
