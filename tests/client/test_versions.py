"""Calls of several requests: cut to what a server takes, and of one version while others come and go."""

import math
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from gannet_client import Client, ModelNotFound, Retry, TooManyRows
from gannet_serving import LocalServer, ServerOptions
from tests.client import served


def close_to(images: np.ndarray, others: np.ndarray) -> bool:
    return images.shape == others.shape and int(np.abs(images.astype(int) - others.astype(int)).max()) <= 1


def test_more_rows_than_a_batching_server_takes(start: Any, fake: Any, drawn: Any) -> None:
    fake.max_rows = 10
    target = f"127.0.0.1:{start(fake).port}"
    with Client(target, model="digits") as client:
        for _ in range(2):
            assert np.array_equal(client.generate(100, seed=0).array, drawn(range(100), 1))
        sizes = [len(r.inputs["seeds"].tensor_content) // 8 for r in fake.requests if "seeds" in r.inputs]
        assert sizes.count(64) == 1 and sizes[-10:] == [10] * 10  # remembered
        assert [len(piece) for piece in client.stream(25)] == [10, 10, 5]


def test_a_pinned_version_is_held_while_another_comes(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "gen").mkdir(parents=True)
    served.write_version(models / "gen" / "1", offset=0.0)
    with (
        LocalServer(models) as server,
        Client(server.target, model="gen", chunk_rows=2, parallel=2) as client,
    ):
        keep_all_versions(server.target, "gen", models / "gen")
        pinned, first = client.with_options(pin=True), client.generate(40, seed=0)
        streams = [client.stream(40, seed=0, pin=pin) for pin in (True, False)]
        pieces = [[next(stream)] for stream in streams]
        assert close_to(pinned.generate(8, seed=0).array, first.array[:8])
        served.write_version(models / "gen" / "2", offset=0.5)
        while client.wait_ready() != 2:
            time.sleep(0.02)
        second = client.generate(40, seed=0)
        assert (first.version, second.version) == (1, 2) and not close_to(first.array, second.array)
        for images in (pinned.generate(40, seed=0), client.generate(40, seed=0, version=1)):
            assert images.version == 1 and close_to(images.array, first.array)
        for stream, read in zip(streams, pieces, strict=True):
            read += stream
        assert {piece.version for piece in pieces[0]} == {1}
        assert close_to(np.concatenate([piece.array for piece in pieces[0]]), first.array)
        assert (pieces[1][0].version, pieces[1][-1].version) == (1, 2)
        shutil.rmtree(models / "gen" / "1")
        while len([status for status in client.status() if status.state == "AVAILABLE"]) > 1:
            time.sleep(0.02)
        with pytest.raises(ModelNotFound, match="model 'gen' version 1"):
            pinned.generate(8, seed=0)
        assert close_to(client.generate(40, seed=0).array, second.array)
        pinned.close()


def test_any_model_can_be_pinned(real_target: str, target: str, fake: Any) -> None:
    with Client(real_target, model="classifier", pin=True) as client:
        assert client.predict({"z": [[0.5] * served.LATENT_DIM] * 2})["scores"].shape == (2, 5)
        assert client.metadata().keys() == {"serving_default"}
    with Client(target, model="digits", pin=True) as client:
        assert client.generate(1, version_label="stable").version == 1
        fake.states[2], fake.labels["stable"] = 30, 2
        assert client.generate(1, version_label="stable").version == 1
        assert client.generate(1).version == 2


def test_a_copy_of_a_pinned_client_goes_on_with_its_version(target: str, fake: Any) -> None:
    with Client(target, model="digits", pin=True) as client:
        assert client.generate(1).version == 1
        fake.states[2] = 30
        for options, version in (({"timeout": 5}, 1), ({"pin": True}, 2), ({"pin": False}, 2)):
            with client.with_options(**options) as copy:
                assert (copy.generate(1).version, client.generate(1).version) == (version, 1)


def keep_all_versions(target: str, name: str, path: Path) -> None:
    request = model_management_pb2.ReloadConfigRequest()
    config = request.config.model_config_list.config.add(
        name=name, base_path=str(path), model_platform="tensorflow"
    )
    config.model_version_policy.all.SetInParent()
    with grpc.insecure_channel(target) as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=60)


BATCHING = """
max_batch_size { value: 8 } batch_timeout_micros { value: 1000 } max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 } allowed_batch_sizes: 4 allowed_batch_sizes: 8
"""


def test_a_batching_server_whose_queue_is_short(real_models: Path, real_target: str, tmp_path: Path) -> None:
    parameters = tmp_path / "batching.txt"
    parameters.write_text(BATCHING)
    options = ServerOptions(enable_batching=True, batching_parameters_file=str(parameters))
    with Client(real_target, model="animals") as client:
        reference = client.generate(200, seed=0)
    patient = Retry(attempts=100, first=0.01, budget=math.inf)
    with (
        LocalServer(real_models, options=options) as server,
        Client(server.target, model="animals", parallel=8, retry=patient, timeout=120) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        drawn = list(pool.map(lambda seed: client.generate(150, seed=seed), range(0, 50, 10)))
        for images, seed in zip(drawn, range(0, 50, 10), strict=True):
            assert close_to(images.array, reference.array[seed : seed + 150])
        assert client.generate(0).array.shape == (0, *served.IMAGE)
        with pytest.raises(TooManyRows, match="split the request") as caught:
            client.predict({"seeds": np.arange(9)}, signature="latents")
        assert caught.value.limit == 8
