"""What the embedded server costs, under load from another process.

- `server_cpu_N_callers`: CPU per call by the server's own getrusage, for a tiny network at batch 1, over that
  of a server of grpcio that gives the same bytes without computing.
- `server_cpu_per_image`: the same per image for `pixels` of the 32x32x3 DCGAN at batch 64, plain export, as
  `tensor_content`, over that of the session alone, called in a process of its own.
- `server_batching_EXPORT`: images per second with batching over those without, 32 callers at batch 1.
- `server_tail`: p99 over p50 at half of the calls per second that the server can answer.

Turns alternate; `ratio` is the median over turns. Exits with 1 outside of the bounds.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import dcgan_steps
import export_speed
import grpc
import numpy as np
from load import PREDICT, Load, bare, child, cpu_per_call, cpu_seconds, gannet, load
from served import request_for, write_version

TURNS, CALLS = 7, 1200
CALLERS = (1, 8, 32)
BATCH, BATCHES = 64, 20
CPU_BOUND, IMAGE_BOUND, TAIL_BOUND = 2.2, 1.05, 3.0
BATCHING_BOUNDS = {"plain": 2.0, "float32": 1.4}
PARAMETERS = (
    "max_batch_size { value: 16 } num_batch_threads { value: 1 } batch_timeout_micros { value: 5000 }"
)
THREADS = 64
MAX_THREADS = f"--grpc_max_threads={THREADS}"
AS_CONTENT = "--enable_serialization_as_tensor_content"

Turns = list[tuple[float, float]]


def main() -> None:
    missed = False
    with tempfile.TemporaryDirectory() as folder, load() as callers:
        models = Path(folder)
        write_tiny(models / "tiny")
        for count, turns in cpu(models / "tiny", callers):
            missed |= report(f"server_cpu_{count}_callers", turns, "s of CPU per call", most=CPU_BOUND)
        write_dcgan(models)
        turns = cpu_per_batch(models / "plain", callers)
        missed |= report("server_cpu_per_image", turns, f"s of CPU per {BATCH} images", most=IMAGE_BOUND)
        for name, bound in BATCHING_BOUNDS.items():
            turns = images_per_second(models / name, callers)
            missed |= report(f"server_batching_{name}", turns, "images/s", least=bound)
        missed |= report("server_tail", quantiles(models / "plain", callers), "s", most=TAIL_BOUND)
    sys.exit(missed)


def cpu(model: Path, callers: Load) -> Iterator[tuple[int, Turns]]:
    """By the number of callers: CPU seconds per call, ours and those of the bare server."""
    request = request_for(model.name, 1).SerializeToString()
    with (
        gannet(MAX_THREADS, *serve(model)) as ours,
        bare(answer_of(ours.address, request), THREADS) as theirs,
    ):
        for count in CALLERS:
            yield (
                count,
                [
                    (
                        cpu_per_call(ours, callers, request, count, CALLS),
                        cpu_per_call(theirs, callers, request, count, CALLS),
                    )
                    for _ in range(TURNS + 1)
                ][1:],
            )


def cpu_per_batch(model: Path, callers: Load) -> Turns:
    """CPU seconds per batch: those of the server and those of the session alone."""
    request = pixels_request(model.name, BATCH)
    with gannet(AS_CONTENT, *serve(model)) as server, child(_run_alone, model / "1") as alone:
        turns = []
        for _ in range(TURNS + 1):
            served = cpu_per_call(server, callers, request, 1, BATCHES)
            alone.send(BATCHES)
            turns.append((served, alone.recv()))
        return turns[1:]


def images_per_second(model: Path, callers: Load) -> Turns:
    """With batching and without."""
    request = pixels_request(model.name, 1)
    parameters = model / "batching"
    parameters.write_text(PARAMETERS)
    # The export is warmed with more rows than such a batch takes.
    flags = (MAX_THREADS, AS_CONTENT, "--enable_model_warmup=false", *serve(model))
    with (
        gannet(*flags, "--enable_batching", f"--batching_parameters_file={parameters}") as on,
        gannet(*flags) as off,
    ):
        return [
            (
                callers.calls(on.address, [request], 32, CALLS).rate,
                callers.calls(off.address, [request], 32, CALLS).rate,
            )
            for _ in range(TURNS + 1)
        ][1:]


def quantiles(model: Path, callers: Load) -> Turns:
    """p99 and p50 of the seconds of a call at half load."""
    request = pixels_request(model.name, 1)
    with gannet(MAX_THREADS, AS_CONTENT, *serve(model)) as server:
        rates = [callers.calls(server.address, [request], 8, CALLS).rate for _ in range(2)]
        turns = [callers.paced(server.address, [request], 32, CALLS, rates[-1] / 2) for _ in range(TURNS)]
        return [(turn.quantile(0.99), turn.quantile(0.5)) for turn in turns]


def report(
    name: str, turns: Turns, unit: str, *, least: float | None = None, most: float | None = None
) -> bool:
    """Prints the median ratio; returns whether it is out of its bound."""
    ratio = round(statistics.median(ours / theirs for ours, theirs in turns), 3)
    sides = [float(f"{statistics.median(side):.4g}") for side in zip(*turns, strict=True)]
    detail = {"sides": sides, "of": unit, "bound": most or least}
    print(json.dumps({"name": name, "ratio": ratio, "unit": "1", "detail": detail}), flush=True)
    return ratio > most if most else ratio < (least or 0)


def write_tiny(model: Path) -> None:
    model.mkdir()
    write_version(model / "1", 0.0)


def write_dcgan(models: Path) -> None:
    """The same generator as Keras writes it, `plain`, and rewritten, `float32`."""
    from gannet_export import export
    from gannet_training.startup import start_tensorflow

    start_tensorflow()
    with redirect_stdout(sys.stderr):
        generator = export_speed.trained().ema_generator
        for name, plain in {"plain": True, "float32": False}.items():
            export(generator, models, name, latent_dim=dcgan_steps.LATENT_DIM, plain=plain)


def serve(model: Path) -> tuple[str, str]:
    return f"--model_name={model.name}", f"--model_base_path={model}"


def answer_of(address: str, request: bytes) -> bytes:
    with grpc.insecure_channel(address) as channel:
        predict: Any = channel.unary_unary(PREDICT)
        answer: bytes = predict(request, timeout=60)
        return answer


def pixels_request(model: str, rows: int) -> bytes:
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    from gannet_client.codec import encode

    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, "pixels"
    encode(_noise(rows), request.inputs["noise"])
    written: bytes = request.SerializeToString()
    return written


def _noise(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, dcgan_steps.LATENT_DIM)).astype(np.float32)


def _run_alone(end: Connection, version: Path) -> None:
    """Answers a number of batches with the CPU seconds of each."""
    call, noise = export_speed.session_call(version), _noise(BATCH)
    call(noise)
    while True:
        count, before = end.recv(), cpu_seconds()
        for _ in range(count):
            call(noise)
        end.send((cpu_seconds() - before) / count)


if __name__ == "__main__":
    main()
