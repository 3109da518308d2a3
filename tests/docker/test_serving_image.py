"""The embedded server's image: confined, asked from outside, stopped."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import numpy as np
import pytest

from gannet_client.codec import decode, encode

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first build brings TensorFlow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model `double`: `noise` float32 [B, 2] -> `images`, twice that; readable for every user."""
    import tensorflow as tf

    class Double(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.factor = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "noise")])
        def __call__(self, noise: Any) -> dict[str, Any]:
            return {"images": noise * self.factor}

    models = tmp_path_factory.mktemp("models")
    module = Double()
    tf.saved_model.save(module, str(models / "double" / "1"), signatures={"serving_default": module.__call__})
    for path in (models, *models.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return models


def predict(address: str, name: str) -> tuple[int, np.ndarray]:
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    request = PredictRequest()
    request.model_spec.name = name
    encode(np.array([[1, 2]], np.float32), request.inputs["noise"])
    with grpc.insecure_channel(address) as channel:
        response = PredictionServiceStub(channel).Predict(request, timeout=30)
    return response.model_spec.version.value, decode(response.outputs["images"])


@pytest.mark.parametrize("options", [(), ("--user", "4321:4321")], ids=["its own user", "any user"])
def test_a_confined_container_serves_and_stops(
    options: tuple[str, ...], start: Callable[..., Any], models: Path
) -> None:
    container = start(models, options=("--env", "MODEL_NAME=double", *options))
    container.wait_for_log("listening on 0.0.0.0:8500")
    assert container.address.startswith("127.0.0.1:")
    version, images = predict(container.address, "double")
    assert (version, images.tolist()) == (1, [[2, 4]])
    with urlopen(f"http://{container.rest_address}/v1/models/double", timeout=30) as response:
        assert json.load(response)["model_version_status"][0]["state"] == "AVAILABLE"
    container.stop()
    assert container.inspect(".State.ExitCode") == "0"
    told = [re.sub(r"^\S+ \S+ |(?<=AVAILABLE) in .*", "", line) for line in container.log()]
    unloaded = "INFO model double version 1: unloaded"  # unless that takes more than a second
    assert sorted({*told, unloaded}) == sorted(
        [
            "INFO model double version 1: loading from /models/double/1",
            "INFO model double version 1: AVAILABLE",
            "INFO listening on http://0.0.0.0:8501/v1",
            "INFO listening on 0.0.0.0:8500",
            "INFO stopping; running requests have 8 s to end",
            unloaded,
        ]
    )


def test_flags_go_after_the_name_of_the_image(start: Callable[..., Any], models: Path) -> None:
    container = start(models, "--model_name=other", "--model_base_path=/models/double")
    container.wait_for_log("listening on 0.0.0.0:8500")
    assert predict(container.address, "other")[0] == 1


def test_the_image_says_what_it_is_and_runs_as_nobody(image_config: dict[str, Any]) -> None:
    assert image_config["User"] == "10001:10001"
    assert list(image_config["ExposedPorts"]) == ["8500/tcp", "8501/tcp"]
    assert image_config["Labels"]["org.opencontainers.image.title"] == "gannet-serving"
    assert image_config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert {"MODEL_NAME=model", "MODEL_BASE_PATH=/models"} <= set(image_config["Env"])
