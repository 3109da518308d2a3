"""What the client costs: CPU for each call beside a bare call of gRPC, and memory for a long stream.

The bare side sends prepared bytes through `channel.unary_unary` and reads nothing of the answer. Both sides
call the same server, which answers from memory in a process of its own; only this process' CPU counts.
`ratio` is the smaller of both bounds over what was measured; exits with 1 where it is below 1.
"""

import json
import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import numpy as np

from gannet_client import Client, codec, contract, wire

SHAPE = (32, 32, 3)
CALLS, TURNS = 500, 21
STREAMED = 100_000
MILLISECONDS, MEGABYTES = 0.25, 100.0
PREDICT = f"/{contract.PREDICTION_SERVICE}/Predict"


class Handler(grpc.GenericRpcHandler):
    """A model `m` whose images are zeros."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Every method is answered alike."""
        return grpc.unary_unary_rpc_method_handler(answer)


def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
    request = wire.PredictRequest.FromString(data)
    signature = request.model_spec.signature_name
    rows = next(iter(request.inputs.values())).tensor_shape.dim
    return prepared(signature, next(iter(rows)).size)


@cache
def prepared(signature: str, rows: int) -> bytes:
    response = wire.PredictResponse()
    response.model_spec.name, response.model_spec.version.value = "m", 1
    if signature == contract.CARD:
        card = {"format": contract.CARD_FORMAT, "latent_dim": 64, "image_shape": SHAPE}
        codec.encode(np.array([json.dumps(card)], object), response.outputs[contract.CARD])
    else:
        codec.encode(np.zeros((rows, *SHAPE), np.uint8), response.outputs[contract.PIXELS])
    return response.SerializeToString()


def serve(connection: Connection) -> None:
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Handler(),))
    connection.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    connection.recv()


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU of one call, on average."""
    started = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - started) / CALLS


def overhead(target: str) -> tuple[list[float], list[float]]:
    """CPU seconds of a call of the client and of a bare one, turn by turn."""
    request = codec.encode_request(
        wire.ModelSpec(name="m", signature_name=contract.SEEDED_PIXELS),
        {contract.SEEDS: np.zeros(1, np.int64)},
    )
    with Client(target, model="m") as client, grpc.insecure_channel(target) as channel:
        bare: Callable[..., bytes] = channel.unary_unary(PREDICT)
        sides = (lambda: client.generate(seeds=[7]), lambda: bare(request, timeout=30))
        measured = [[cpu_seconds(side) for side in sides] for _ in range(TURNS + 1)][1:]
    ours, theirs = zip(*measured, strict=True)
    return list(ours), list(theirs)


def memory(target: str) -> tuple[float, int]:
    """Megabytes by which this process grows from the first piece of a stream on, and the most that it has."""
    with Client(target, model="m") as client:
        stream = client.stream(STREAMED, seed=0)
        drawn = len(next(stream))
        before = peak = resident()
        for piece in stream:
            drawn += len(piece)
            peak = max(peak, resident())
    assert drawn == STREAMED
    return (peak - before) / 1e6, peak // 10**6


def resident() -> int:
    import resource

    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    if sys.platform != "linux":
        raise SystemExit("this benchmark reads /proc, which Linux has")
    here, there = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True).start()
    target = f"127.0.0.1:{here.recv()}"
    grown, peak = memory(target)
    ours, theirs = overhead(target)
    here.send(None)
    beyond = 1000 * statistics.median(mine - bare for mine, bare in zip(ours, theirs, strict=True))
    ratios = {"milliseconds": MILLISECONDS / beyond, "megabytes": MEGABYTES / max(grown, 0.1)}
    detail = {
        "compared with": "channel.unary_unary with prepared bytes, at batch 1",
        "bounds": {"milliseconds": MILLISECONDS, "megabytes": MEGABYTES},
        "CPU milliseconds": {
            "client": round(1000 * statistics.median(ours), 4),
            "bare": round(1000 * statistics.median(theirs), 4),
            "beyond": round(beyond, 4),
        },
        "megabytes": {
            "streamed": STREAMED * math.prod(SHAPE) // 10**6,
            "grown": round(grown, 1),
            "peak": peak,
        },
    }
    worst = round(min(ratios.values()), 2)
    print(json.dumps({"name": "client_overhead", "ratio": worst, "unit": "1", "detail": detail}))
    sys.exit(worst < 1)


if __name__ == "__main__":
    main()
