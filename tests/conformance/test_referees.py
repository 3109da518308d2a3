"""TensorFlow's own command line and gRPC's own reflection client, next to what the server answers."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow.python.tools import saved_model_cli
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from gannet_client.codec import decode
from tests.conformance import models
from tests.conformance.answers import Target


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Runs `saved_model_cli` and returns what it printed."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["saved_model_cli", *arguments])
        with pytest.raises(SystemExit) as ended:
            saved_model_cli.main()
        assert not ended.value.code
        return capsys.readouterr().out

    yield run
    tf.compat.v1.reset_default_graph()


@pytest.mark.parametrize("model", ["gen", "zoo", "examples"])
def test_metadata_agrees_with_saved_model_cli(
    model: str, directory: Path, command_line: Callable[..., str], call: Callable[..., Any]
) -> None:
    response = call("GetModelMetadata", f'model_spec {{ name: "{model}" }} metadata_field: "signature_def"')
    signatures = SignatureDefMap.FromString(response.metadata["signature_def"].value).signature_def
    shown = command_line("show", "--all", "--dir", str(directory / model / str(models.VERSIONS[model])))
    described = dict(re.findall(r"^signature_def\['(\w+)'\]:\n(.*?\n)$", f"{shown}\n", re.S | re.M))
    assert described.keys() == signatures.keys()
    for key, signature in signatures.items():
        names = dict(re.findall(r"\['(\w+)'\] tensor_info:.*?name: (\S*)\n", described[key], re.S))
        assert names == {
            name: tensor.name for name, tensor in [*signature.inputs.items(), *signature.outputs.items()]
        }


def test_images_agree_with_saved_model_cli(
    directory: Path, command_line: Callable[..., str], target: Target, tmp_path: Path
) -> None:
    noise = np.linspace(-2, 2, 3 * models.WIDTH, dtype=np.float32).reshape(3, models.WIDTH)
    np.save(tmp_path / "noise.npy", noise)
    command_line(
        *("run", "--dir", str(directory / "gen" / "1"), "--tag_set", "serve", "--signature_def", "generate"),
        *("--inputs", f"noise={tmp_path / 'noise.npy'}", "--outdir", str(tmp_path)),
    )
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "gen", "generate"
    request.inputs["noise"].CopyFrom(tf.make_tensor_proto(noise))
    images = decode(target.prediction.Predict(request, timeout=30).outputs["images"])
    np.testing.assert_allclose(images, np.load(tmp_path / "images.npy"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "official",
    [
        prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"],
        model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
    ],
    ids=lambda service: service.name,
)
def test_reflection_tells_the_official_methods(official: Any, target: Target) -> None:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(target.channel))
    told = pool.FindServiceByName(official.full_name)
    assert {method.name: method.input_type.full_name for method in told.methods} == {
        method.name: method.input_type.full_name for method in official.methods
    }
