"""Speed of the client's codec against protobuf and TensorFlow, on the bytes that come and go.

In one process, turn by turn, each side from the received bytes to arrays, or from an array to the bytes
that are sent: a response of 48 MiB in `float_val` (64x256x256x3 float32), as many uint8 pixels in `int_val`,
and a request for 64 images from noise of width 512. Both sides must give the same arrays. `ratio` is the
smallest of the three ratios over their bounds; exits with 1 where one is below its bound.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gannet_client import codec, wire

BOUNDS = {"float_val": 50, "int_val": 10, "encode": 3}
TURNS = {"float_val": 7, "int_val": 7, "encode": 300}


def main() -> None:
    random = np.random.default_rng(0)
    shape = (64, 256, 256, 3)
    cases = {
        "float_val": reading(random.normal(size=shape).astype(np.float32)),
        "int_val": reading(random.integers(0, 256, shape, np.uint8)),
        "encode": writing(random.normal(size=(64, 512)).astype(np.float32)),
    }
    times = {name: interleaved(*sides, turns=TURNS[name]) for name, sides in cases.items()}
    ratios = {name: theirs / ours for name, (ours, theirs) in times.items()}
    detail = {
        "compared with": "PredictResponse.FromString, tf.make_ndarray; tf.make_tensor_proto, serialising",
        "ratios": {name: round(value, 1) for name, value in ratios.items()},
        "bounds": BOUNDS,
        "milliseconds": {name: [round(1000 * side, 4) for side in sides] for name, sides in times.items()},
    }
    worst = round(min(ratios[name] / bound for name, bound in BOUNDS.items()), 2)
    print(json.dumps({"name": "client_codec", "ratio": worst, "unit": "1", "detail": detail}))
    sys.exit(worst < 1)


def reading(array: np.ndarray) -> tuple[Callable[[], Any], Callable[[], Any]]:
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    response = PredictResponse()
    codec.encode_values(array, response.outputs["images"])
    received = response.SerializeToString()

    def ours() -> dict[str, np.ndarray]:
        return codec.decode_response(received)

    def theirs() -> dict[str, np.ndarray]:
        parsed = PredictResponse.FromString(received)
        return {name: tf.make_ndarray(proto) for name, proto in parsed.outputs.items()}

    for decode in (ours, theirs):
        np.testing.assert_array_equal(decode()["images"], array, strict=True)
    return ours, theirs


def writing(noise: np.ndarray) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Ours writes the whole request, theirs its tensor alone."""
    import tensorflow as tf

    spec = wire.ModelSpec(name="faces", signature_name="pixels")

    def ours() -> bytes:
        return codec.encode_request(spec, {"noise": noise})

    def theirs() -> bytes:
        return bytes(tf.make_tensor_proto(noise).SerializeToString())

    sent = wire.PredictRequest.FromString(ours()).inputs["noise"]
    np.testing.assert_array_equal(codec.decode(sent), noise, strict=True)
    return ours, theirs


def interleaved(ours: Callable[[], Any], theirs: Callable[[], Any], turns: int) -> tuple[float, float]:
    """The median seconds of each side."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(turns)]
    return statistics.median(mine for mine, _ in pairs), statistics.median(other for _, other in pairs)


def seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
