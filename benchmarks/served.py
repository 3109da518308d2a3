"""A model server as a process, and models for it; what the benchmarks of serving share."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np

WIDTH = 64
PROGRAM = "from gannet_serving.main import main; main()"


class Served(NamedTuple):
    process: "subprocess.Popen[str]"
    prediction: Any
    model: Any

    def resident(self) -> int:
        """Bytes of memory that the server has."""
        import resource

        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()


def write_version(path: Path, offset: float) -> None:
    """`noise` float32 [B, 64] -> `images` float32 [B, 64], its mean plus `offset`; complete or absent."""
    import tensorflow as tf

    module = tf.Module()
    module.kernel = tf.Variable(tf.fill([WIDTH, WIDTH], 1 / WIDTH))
    module.offset = tf.Variable(float(offset))
    module.call = tf.function(
        lambda noise: {"images": tf.matmul(noise, module.kernel) + module.offset},
        input_signature=[tf.TensorSpec([None, WIDTH], tf.float32, "noise")],
    )
    staged = path.with_name(f".staging-{path.name}")
    tf.saved_model.save(module, str(staged), signatures={"serving_default": module.call})
    staged.rename(path)


def request_for(model: str, rows: int) -> Any:
    """A PredictRequest of that many rows, all of ones."""
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    from gannet_client.codec import encode_values

    request = PredictRequest()
    request.model_spec.name = model
    encode_values(np.ones((rows, WIDTH), np.float32), request.inputs["noise"])
    return request


@contextmanager
def serving(*flags: str) -> Iterator[Served]:
    """Runs `gannet-model-server` until the block ends."""
    from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    command = [sys.executable, "-c", PROGRAM, *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            address = next(
                found[1] for line in process.stderr if (found := re.search(r"listening on (\S+)", line))
            )
            with (
                subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL),
                grpc.insecure_channel(address) as channel,
            ):
                yield Served(process, PredictionServiceStub(channel), ModelServiceStub(channel))
                process.terminate()
        finally:
            process.terminate()
