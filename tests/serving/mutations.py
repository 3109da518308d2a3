"""Requests that nobody should send: valid ones that were damaged, and well-formed ones that make no sense."""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from gannet_client.codec import encode_values
from tests.conformance.answers import request_class

SERVICES = {
    "Predict": "tensorflow.serving.PredictionService",
    "Classify": "tensorflow.serving.PredictionService",
    "Regress": "tensorflow.serving.PredictionService",
    "MultiInference": "tensorflow.serving.PredictionService",
    "GetModelMetadata": "tensorflow.serving.PredictionService",
    "GetModelStatus": "tensorflow.serving.ModelService",
    "HandleReloadConfigRequest": "tensorflow.serving.ModelService",
    "Check": "grpc.health.v1.Health",
    "ServerReflectionInfo": "grpc.reflection.v1.ServerReflection",
}
VERBS = ("predict", "classify", "regress")
_SIZES = (0, 1, 2, 3, -1, -2, 2**16, 2**31, 2**32 - 1, 2**62, -(2**63), 2**63 - 1)


def grpc_request(random: random.Random) -> tuple[str, bytes]:
    """A path and the bytes of a message."""
    method = random.choice(list(SERVICES))
    message = _SEEDS[method](random)
    data = random.choice(_DAMAGE)(random, message.SerializeToString())
    return f"/{SERVICES[method]}/{method}", data


def rest_request(random: random.Random) -> tuple[str, str, bytes]:
    """An HTTP method, a path and a body."""
    model = random.choice(["gen", "zoo", "no", "%00", "gen/versions/1", "gen/versions/" + "9" * 30])
    if random.random() < 0.1:
        return "GET", f"/v1/models/{model}{random.choice(['', '/metadata', '/labels', ':predict'])}", b""
    path = f"/v1/models/{model}:{random.choice(VERBS)}"
    key = random.choice(["instances", "inputs", "examples", "context", "signature_name"])
    document = {key: _json(random, 0), random.choice(["instances", "signature_name", "x"]): _json(random, 3)}
    body = json.dumps(document).encode(errors="surrogatepass")
    return "POST", path, random.choice(_DAMAGE)(random, body)


def _json(random: random.Random, depth: int) -> Any:
    kind = random.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return random.choice([None, True, False, "", "é\ud800", "x" * 1000, {"b64": "AA=="}, {"b64": "?"}])
    if kind == 1:
        return random.choice(_SIZES)
    if kind == 2:
        return random.choice([1.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), 10**400])
    if kind == 3:
        return [random.random() for _ in range(4)]
    if kind == 4:
        return [
            [random.random() for _ in range(random.choice([4, 4, 3]))] for _ in range(random.randrange(4))
        ]
    if kind == 5:
        return _nested(random.choice([5, 63, 64, 65, 2000]))
    if kind == 6:
        return [_json(random, depth + 1) for _ in range(random.randrange(4))]
    names = ["noise", "count", "half", "name", "b64", "x"]
    return {random.choice(names): _json(random, depth + 1) for _ in range(random.randrange(4))}


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(min(depth, 900)):  # the encoder of this test has a limit as well
        value = [value]
    return value


def _predict(random: random.Random) -> Any:
    request = request_class("Predict")()
    _fill_spec(random, request.model_spec)
    for alias in random.sample(["noise", "count", "half", "name", "odd"], random.randrange(4)):
        _fill_tensor(random, request.inputs[alias])
    request.output_filter.extend(random.sample(["images", "images", "no", "count"], random.randrange(3)))
    return request


def _fill_spec(random: random.Random, spec: Any) -> None:
    spec.name = random.choice(["gen", "gen", "gen", "zoo", "no", "", "é" * 1000])
    spec.signature_name = random.choice(["", "", "", "generate", "no"])
    if random.random() < 0.2:
        spec.version.value = random.choice(_SIZES)
    elif random.random() < 0.1:
        spec.version_label = random.choice(["", "stable", "\0"])


def _fill_tensor(random: random.Random, proto: Any) -> None:
    if random.random() < 0.4:
        noise = np.full((random.randrange(4), 4), random.choice([0, 1, np.nan, np.inf, 1e38]), np.float32)
        encode_values(noise, proto)
    else:
        proto.dtype = random.choice([*range(32), 101, 102, 119, 999])
        for _ in range(random.choice([0, 1, 1, 2, 2, 3, 8, 70, 300])):
            proto.tensor_shape.dim.add(size=random.choice(_SIZES))
    if random.random() < 0.3:
        proto.tensor_content = random.randbytes(random.choice([0, 1, 3, 4, 16, 4096]))
    if random.random() < 0.3:
        proto.float_val.extend([0.5] * random.randrange(20))
    if random.random() < 0.2:
        proto.int_val.extend(random.choice([-(2**31), 2**31 - 1, 7]) for _ in range(3))
    if random.random() < 0.2:
        proto.string_val.extend([random.randbytes(random.choice([0, 5, 100_000]))] * random.randrange(3))
    if random.random() < 0.1:
        proto.tensor_shape.unknown_rank = True


def _examples(method: str) -> Callable[[random.Random], Any]:
    def make(random: random.Random) -> Any:
        request = request_class(method)()
        if method == "MultiInference":
            for _ in range(random.randrange(4)):
                task = request.tasks.add(method_name=random.choice(["", "tensorflow/serving/classify"]))
                _fill_spec(random, task.model_spec)
        else:
            _fill_spec(random, request.model_spec)
        for _ in range(random.randrange(3)):
            example = request.input.example_list.examples.add()
            example.features.feature["x"].float_list.value.extend([1, float("nan")])
        return request

    return make


def _metadata(random: random.Random) -> Any:
    request = request_class("GetModelMetadata")()
    _fill_spec(random, request.model_spec)
    request.metadata_field.extend(random.choices(["signature_def", "no"], k=random.randrange(3)))
    return request


def _status(random: random.Random) -> Any:
    request = request_class("GetModelStatus")()
    _fill_spec(random, request.model_spec)
    return request


def _reload(random: random.Random) -> Any:
    """Of configurations that are refused, so that the models stay."""
    request = request_class("HandleReloadConfigRequest")()
    config = request.config.model_config_list.config.add(name="gen", base_path="/no/such/path")
    config.model_platform = random.choice(["tensorflow", "", "onnx"])
    config.version_labels["stable"] = random.choice(_SIZES)
    return request


def _probe(random: random.Random) -> Any:
    return HealthCheckRequest(service=random.choice(["", "gen", "no", "é" * 1000]))


def _reflection(random: random.Random) -> Any:
    name = random.choice(["", "grpc.health.v1.Health", "tensorflow.TensorProto", "é" * 1000])
    return ServerReflectionRequest(**{random.choice(["list_services", "file_containing_symbol"]): name})


_SEEDS: dict[str, Callable[[random.Random], Any]] = {
    "Predict": _predict,
    "Classify": _examples("Classify"),
    "Regress": _examples("Regress"),
    "MultiInference": _examples("MultiInference"),
    "GetModelMetadata": _metadata,
    "GetModelStatus": _status,
    "HandleReloadConfigRequest": _reload,
    "Check": _probe,
    "ServerReflectionInfo": _reflection,
}


def _as_it_is(random: random.Random, data: bytes) -> bytes:
    return data


def _cut(random: random.Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _flip(random: random.Random, data: bytes) -> bytes:
    flipped = bytearray(data)
    for _ in range(random.randrange(1, 5)):
        if flipped:
            flipped[random.randrange(len(flipped))] = random.randrange(256)
    return bytes(flipped)


def _double(random: random.Random, data: bytes) -> bytes:
    begin, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[begin:]


def _insert(random: random.Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice([b"\x0b" * 5000, b"\xff" * 10, b"\0" * 3, b"[" * 5000]) + data[place:]


_DAMAGE = (_as_it_is, _as_it_is, _as_it_is, _cut, _flip, _double, _insert)
