"""A TensorFlow Serving in miniature that speaks through the official stubs: the referee of the wire."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from gannet_serving import LocalServer
from gannet_serving.engine import import_tensorflow
from tests.client import served
from tests.client.toxic import ToxicProxy

SHAPE = (6, 5, 3)
State = get_model_status_pb2.ModelVersionStatus.State


def draw(seeds: Any, version: int) -> np.ndarray:
    """The fake model: every image is a function of its seed and the version."""
    positions = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    values = np.asarray(seeds, np.int64).reshape(-1, 1, 1, 1) * 31 + positions * 7 + version * 101
    return (values % 256).astype(np.uint8)


def labelled(seeds: Any, labels: Any) -> np.ndarray:
    """What a model with classes draws from in place of seeds; for -1, the seeds themselves."""
    return np.asarray(seeds, np.int64) + 1_000_003 * (np.asarray(labels, np.int64) + 1)


def listed(array: np.ndarray) -> Any:
    """As TensorFlow Serving answers by default: every value in `int_val`."""
    proto = tf.make_tensor_proto(array[:0], shape=array.shape)
    proto.int_val.extend(array.ravel().tolist())
    return proto


class FakeServing(
    prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer
):
    """One model `digits`; what it serves and how it answers is set by the test."""

    def __init__(self) -> None:
        self.states = {1: State.AVAILABLE}
        self.errors: dict[int, tuple[int, str]] = {}
        self.labels = {"stable": 1}
        self.card: Any = {"format": 1, "family": "dcgan", "latent_dim": 4, "image_shape": list(SHAPE)}
        self.classes: dict[int, list[str]] = {}
        self.encode: Callable[[np.ndarray], Any] = tf.make_tensor_proto
        self.pixels: Callable[[np.ndarray, int], np.ndarray] = draw
        self.fail_with: tuple[grpc.StatusCode, str] | None = None
        self.failures: deque[tuple[grpc.StatusCode, str, str | None]] = deque()
        self.max_rows = 0
        self.release = threading.Event()
        self.release.set()
        self.requests: list[Any] = []
        self.remaining: list[float] = []
        self.metadata: list[dict[str, str]] = []

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        version = self._admit(request, context)
        signature = request.model_spec.signature_name
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        rows = max(len(value) for value in inputs.values())
        if self.max_rows and rows > self.max_rows:
            text = f"Task size {rows} is larger than maximum input batch size {self.max_rows}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version
        response.model_spec.signature_name = signature
        if signature == "seeded_pixels":
            given = self._given(inputs, version, context)
            response.outputs["pixels"].CopyFrom(self.encode(self.pixels(given, version)))
        elif signature == "card":
            classes = self.classes.get(version)
            card = {**self.card, "classes": classes, "conditions": ["labels"]} if classes else self.card
            cards = [json.dumps(card).encode()] * len(inputs["rows"])
            response.outputs["card"].CopyFrom(tf.make_tensor_proto(cards))
        elif signature == "echo":
            for name, value in inputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        else:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.'
            )
        return response

    def _given(self, inputs: Any, version: int, context: grpc.ServicerContext) -> np.ndarray:
        """What the images follow from: the seeds, and the labels of a model that has classes."""
        required = {"seeds", "labels"} if version in self.classes else {"seeds"}
        if inputs.keys() != required:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "input size does not match signature")
        return labelled(inputs["seeds"], inputs.get("labels", -1))

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        version = self._admit(request, context)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        pixels = signatures.signature_def["seeded_pixels"]
        pixels.inputs["seeds"].dtype = tf.int64.as_datatype_enum
        pixels.inputs["seeds"].tensor_shape.dim.add(size=-1)
        pixels.outputs["pixels"].dtype = tf.uint8.as_datatype_enum
        for size in (-1, *SHAPE):
            pixels.outputs["pixels"].tensor_shape.dim.add(size=size)
        echo = signatures.signature_def["echo"]
        echo.inputs["x"].dtype = tf.float32.as_datatype_enum
        echo.inputs["text"].dtype = tf.string.as_datatype_enum
        echo.inputs["x"].tensor_shape.dim.add(size=-1)
        echo.inputs["x"].tensor_shape.dim.add(size=3)
        echo.inputs["text"].tensor_shape.unknown_rank = True
        signatures.signature_def["other"].outputs["text"].dtype = tf.string.as_datatype_enum
        signatures.signature_def["other"].outputs["text"].tensor_shape.unknown_rank = True
        signatures.signature_def["__saved_model_init_op"].outputs["init"].name = "NoOp"
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.version.value = version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._observe(request, context)
        if request.model_spec.name != "digits" or not self.states:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {request.model_spec.name}"
            )
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, state in sorted(self.states.items(), reverse=True):
            entry = response.model_version_status.add(version=version, state=state)
            entry.status.error_code, entry.status.error_message = self.errors.get(version, (0, ""))
        return response

    def _observe(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.remaining.append(context.time_remaining())
        self.metadata.append(dict(context.invocation_metadata()))
        self.release.wait(60)
        if self.failures:
            code, text, pushback = self.failures.popleft()
            if pushback is not None:
                context.set_trailing_metadata([("grpc-retry-pushback-ms", pushback)])
            context.abort(code, text)
        if self.fail_with:
            context.abort(*self.fail_with)

    def _admit(self, request: Any, context: grpc.ServicerContext) -> int:
        self._observe(request, context)
        spec = request.model_spec
        version, wanted = self._resolve(spec, context)
        if spec.name != "digits" or self.states.get(version) != State.AVAILABLE:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return version

    def _resolve(self, spec: Any, context: grpc.ServicerContext) -> tuple[int, str]:
        kind = spec.WhichOneof("version_choice")
        if kind == "version_label" and spec.version_label not in self.labels:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Unrecognized servable version label: {spec.version_label}",
            )
        if kind is None:
            available = [v for v, state in self.states.items() if state == State.AVAILABLE]
            return max(available, default=0), f"Latest({spec.name})"
        version = self.labels[spec.version_label] if kind == "version_label" else spec.version.value
        return version, f"Specific({spec.name}, {version})"


class Running:
    """A gRPC server on a port of its own; `fake` is None for one that knows no service."""

    def __init__(self, fake: FakeServing | None, port: int = 0, host: str = "127.0.0.1") -> None:
        self.server = grpc.server(ThreadPoolExecutor(8))
        if fake:
            prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(fake, self.server)
            model_service_pb2_grpc.add_ModelServiceServicer_to_server(fake, self.server)
        self.port = self.server.add_insecure_port(f"{host}:{port}")
        self.server.start()

    def stop(self) -> None:
        self.server.stop(None).wait()


@pytest.fixture(scope="session")
def real_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of the contract: `digits`, `animals` with all conditions; and those of `served.FOREIGN`."""
    import_tensorflow()
    models = tmp_path_factory.mktemp("models")
    served.write_version(models / "digits" / "1")
    served.write_version(models / "animals" / "1", conditional=True)
    for kind in served.FOREIGN:
        served.write_foreign(models / kind / "1", kind)
    return models


@pytest.fixture(scope="session")
def real_target(real_models: Path) -> Iterator[str]:
    """The address of an embedded server with `real_models`."""
    with LocalServer(real_models) as server:
        yield server.target


@pytest.fixture
def fake() -> Iterator[FakeServing]:
    serving = FakeServing()
    yield serving
    serving.release.set()


@pytest.fixture
def target(fake: FakeServing) -> Iterator[str]:
    """The address of a server with the fake model."""
    running = Running(fake)
    yield f"127.0.0.1:{running.port}"
    fake.release.set()
    running.stop()


@pytest.fixture
def proxy(target: str) -> Iterator[ToxicProxy]:
    proxy = ToxicProxy(target)
    yield proxy
    proxy.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts further servers: `start(fake_or_none, port, host)`."""
    started: list[Running] = []

    def start_one(*arguments: Any) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield start_one
    for running in started:
        running.stop()


@pytest.fixture
def drawn() -> Callable[[Any, int], np.ndarray]:
    """What the fake model draws from seeds: `drawn(seeds, version)`."""
    return draw


@pytest.fixture
def drawn_of_classes() -> Callable[[Any, Any, int], np.ndarray]:
    """What it draws where it has classes: `drawn_of_classes(seeds, labels, version)`."""
    return lambda seeds, labels, version: draw(labelled(seeds, labels), version)


@pytest.fixture
def as_listed() -> Callable[[np.ndarray], Any]:
    """An encoding for `fake.encode`: every value in `int_val`."""
    return listed
