"""Configurations that come and go, as `reloads.toml` lists them."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format

from gannet_serving.servables import State

SEQUENCES = tomllib.loads((Path(__file__).parent / "reloads.toml").read_text())["sequence"]


@pytest.fixture(scope="module")
def models(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory: Path = tmp_path_factory.mktemp("models")
    for model, *numbers in (("gen", 1, 2), ("other", 2, 7), ("bad", 1), ("half", 1, 2), ("empty",)):
        (directory / str(model)).mkdir()
        for number in numbers:
            saved_models.write_gen(directory / str(model) / str(number))
    for broken in ("bad/1", "half/2"):
        (directory / broken / "saved_model.pb").write_bytes(b"junk" * 100)
    return directory


@pytest.mark.parametrize("sequence", SEQUENCES, ids=[sequence["name"] for sequence in SEQUENCES])
def test_sequence(
    sequence: dict[str, Any],
    models: Path,
    serve_config: Callable[..., Any],
    predict_request: Callable[..., Any],
) -> None:
    stubs = serve_config(sequence["start"].replace("$models", str(models)), **sequence.get("options", {}))
    for step in sequence["step"]:
        if "status" in step:
            _wait_for(stubs, step["status"], {int(n): State[state] for n, state in step["states"].items()})
            continue
        call = _reload(stubs, step, models) if "reload" in step else _predict(stubs, step, predict_request)
        if "code" not in step:
            answer = call()
            assert "version" not in step or answer.model_spec.version.value == step["version"]
            continue
        with pytest.raises(grpc.RpcError) as caught:
            call()
        message = step["message"].replace("$models", str(models))
        assert (caught.value.code().name, caught.value.details()) == (step["code"], message)


def _reload(stubs: Any, step: dict[str, Any], models: Path) -> Callable[[], Any]:
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    request = ReloadConfigRequest()
    text_format.Parse(step["reload"].replace("$models", str(models)), request.config)
    return lambda: stubs.model.HandleReloadConfigRequest(request, timeout=60)


def _predict(stubs: Any, step: dict[str, Any], predict_request: Callable[..., Any]) -> Callable[[], Any]:
    request = predict_request("", {"noise": np.ones((1, 4), np.float32)})
    text_format.Parse(step["predict"], request.model_spec)
    return lambda: stubs.prediction.Predict(request, timeout=30)


def _wait_for(stubs: Any, name: str, states: dict[int, State]) -> None:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    request = GetModelStatusRequest()
    request.model_spec.name = name
    while True:
        response = stubs.model.GetModelStatus(request, timeout=30)
        if {entry.version: entry.state for entry in response.model_version_status} == states:
            return
        Event().wait(0.01)
