"""SavedModels written on the spot, and one server that all tests share."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest

from gannet_client.codec import encode_values
from gannet_serving.engine import import_tensorflow
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.sources import Directory, Source
from tests.serving.processes import Process

WIDTH = 4
IMAGE = (4, 4, 1)


class Stubs(NamedTuple):
    """The official clients of one server."""

    prediction: Any
    model: Any
    channel: grpc.Channel
    address: str


class SavedModels:
    """Writes the models of the tests: raw variables in a `tf.Module`, as any v1 Session can restore them."""

    def __init__(self) -> None:
        import_tensorflow()

    @staticmethod
    def kernel() -> np.ndarray:
        return np.linspace(-1, 1, WIDTH * int(np.prod(IMAGE)), dtype=np.float32).reshape(WIDTH, -1)

    def images(self, noise: np.ndarray, offset: float = 0.0) -> np.ndarray:
        """What the model of `write_gen` computes."""
        flat = np.tanh(noise @ self.kernel()) + np.float32(offset)
        return flat.reshape(-1, *IMAGE)

    def write_gen(self, path: Path, *, offset: float = 0.0) -> Path:
        """`noise` float32 [B, 4] -> `images` float32 [B, 4, 4, 1], under two signatures."""
        import tensorflow as tf

        module = tf.Module()
        module.kernel = tf.Variable(self.kernel())
        module.offset = tf.Variable(float(offset))

        def generate(noise: Any) -> dict[str, Any]:
            images = tf.tanh(tf.matmul(noise, module.kernel)) + module.offset
            return {"images": tf.reshape(images, [-1, *IMAGE])}

        return self._save(module, path, generate, [tf.TensorSpec([None, WIDTH], tf.float32, "noise")])

    def write_zoo(self, path: Path) -> Path:
        """Inputs and outputs of many dtypes, several at once, with a scalar among the outputs."""
        from tests.conformance.models import WRITERS

        WRITERS["zoo"](path)
        return path

    def write_counting(self, path: Path) -> Path:
        """`rows` int64 [B] -> `count` int64 []: how often the model was called, this time included."""
        import tensorflow as tf

        module = tf.Module()
        module.calls = tf.Variable(0, dtype=tf.int64)

        def count(rows: Any) -> dict[str, Any]:
            with tf.control_dependencies([rows]):
                return {"count": module.calls.assign_add(1)}

        return self._save(module, path, count, [tf.TensorSpec([None], tf.int64, "rows")])

    def write_echo(self, path: Path) -> Path:
        """`x` float32 [B, N], `names` string [B] -> the same, but for negative numbers: those are refused."""
        import tensorflow as tf

        def echo(x: Any, names: Any) -> dict[str, Any]:
            with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x >= 0), ["negative"])]):
                return {"x": tf.identity(x), "names": tf.identity(names)}

        specs = [tf.TensorSpec([None, None], tf.float32, "x"), tf.TensorSpec([None], tf.string, "names")]
        return self._save(tf.Module(), path, echo, specs)

    def write_tiny_floats(self, path: Path) -> Path:
        """`noise` float32 [B, 4] -> `images`, a dtype of eight bits that few know."""
        import tensorflow as tf

        def shrink(noise: Any) -> dict[str, Any]:
            return {"images": tf.cast(noise, tf.dtypes.experimental.float8_e5m2)}

        return self._save(tf.Module(), path, shrink, [tf.TensorSpec([None, WIDTH], tf.float32, "noise")])

    def write_pausing(self, path: Path) -> Path:
        """`pipes` string [2] -> `pipes`: opens two named pipes for writing, one after the other.

        Whoever reads the first knows that the request runs; it goes on running until the second is read.
        """
        import tensorflow as tf

        def pause(pipes: Any) -> dict[str, Any]:
            with tf.control_dependencies([tf.raw_ops.WriteFile(filename=pipes[0], contents="")]):
                last = tf.raw_ops.WriteFile(filename=pipes[1], contents="")
            with tf.control_dependencies([last]):
                return {"pipes": tf.identity(pipes)}

        return self._save(tf.Module(), path, pause, [tf.TensorSpec([2], tf.string, "pipes")])

    @staticmethod
    def _save(module: Any, path: Path, function: Callable[..., Any], specs: list[Any]) -> Path:
        import tensorflow as tf

        module.call = tf.function(function, input_signature=specs)
        signatures = {"serving_default": module.call, "generate": module.call}
        staged = path.with_name(f".staging-{path.name}")
        tf.saved_model.save(module, str(staged), signatures=signatures)
        staged.rename(path)
        return path


class Pause:
    """The two named pipes of a request to the model of `write_pausing`."""

    def __init__(self, directory: Path) -> None:
        self._pipes = [directory / "running", directory / "ended"]
        for pipe in self._pipes:
            os.mkfifo(pipe)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {"pipes": np.array([str(pipe).encode() for pipe in self._pipes], object)}

    def wait_until_running(self) -> None:
        self._pipes[0].read_bytes()

    def end(self) -> None:
        """Lets the run end, also one that has not begun: a pipe with a reader holds no writer up."""
        for pipe in self._pipes:
            os.open(pipe, os.O_RDWR)


def open_stubs(address: str) -> Stubs:
    from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 1000)]
    channel = grpc.insecure_channel(address, options=options)
    return Stubs(PredictionServiceStub(channel), ModelServiceStub(channel), channel, address)


@pytest.fixture(scope="session")
def saved_models() -> SavedModels:
    return SavedModels()


@pytest.fixture(scope="session")
def predict_request(saved_models: SavedModels) -> Callable[[str, dict[str, np.ndarray]], Any]:
    """Makes a PredictRequest from a model's name and arrays by alias."""
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    def make(name: str, inputs: dict[str, np.ndarray]) -> Any:
        request = PredictRequest()
        request.model_spec.name = name
        for alias, array in inputs.items():
            encode_values(array, request.inputs[alias])
        return request

    return make


@pytest.fixture(scope="session")
def details_of() -> Callable[..., str]:
    """The text of the refusal that a call meets."""

    def call(method: Any, request: Any) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            method(request, timeout=30)
        details: str = caught.value.details()
        return details

    return call


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start_one(program: str, *arguments: object) -> Process:
        started.append(Process(program, *arguments))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


@pytest.fixture
def pause(tmp_path: Path) -> Pause:
    return Pause(tmp_path)


@pytest.fixture
def connect() -> Iterator[Callable[[str], Stubs]]:
    """Opens the official stubs of an address."""
    with ExitStack() as stack:

        def open_one(address: str) -> Stubs:
            stubs = open_stubs(address)
            stack.callback(stubs.channel.close)
            return stubs

        yield open_one


@pytest.fixture
def serve(connect: Callable[[str], Stubs]) -> Iterator[Callable[..., Stubs]]:
    """Serves a directory of models until the test ends."""
    with ExitStack() as stack:
        yield lambda directory: connect(stack.enter_context(serving(Directory(directory, every=0.02))))


@pytest.fixture(scope="session")
def served(saved_models: SavedModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    """A server that no test changes: models `gen`, `zoo` and `broken`."""
    directory = tmp_path_factory.mktemp("models")
    for name in ("gen", "zoo", "broken"):
        (directory / name).mkdir()
    saved_models.write_gen(directory / "gen" / "1")
    saved_models.write_zoo(directory / "zoo" / "7")
    saved_models.write_gen(directory / "broken" / "1")
    (directory / "broken" / "1" / "saved_model.pb").write_bytes(b"junk" * 100)
    with serving(Directory(directory, every=0.02)) as address:
        stubs = open_stubs(address)
        yield stubs
        stubs.channel.close()


@contextmanager
def serving(source: Source, **options: Any) -> Iterator[str]:
    """Serves the models of `source` until the block ends; gives the address."""
    import_tensorflow()
    from gannet_serving.server import ModelServer

    usual = {
        "file_system_poll_wait_seconds": 0.02,
        "grpc_max_threads": 64,
        "max_num_load_retries": 0,
        "port": 0,
    }
    given = ServerOptions(**{**usual, **options})
    manager = ModelManager(source, given)
    manager.start()
    assert manager.wait_until_settled(60)
    server = ModelServer(manager, given)
    server.start()
    yield server.address
    server.stop(grace=0)
    assert manager.stop(60)
