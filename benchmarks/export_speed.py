"""Images per second of the exported 32x32x3 DCGAN, rewritten against plain, and the sizes of the files.

The exports of one trained generator are loaded as TensorFlow Serving does, into v1 Sessions, and their
`pixels` are called turn by turn in one process, so that other work on the machine falls on both alike.
`ratio` is the images per second of the rewritten export over the plain one's, the median over turns. bfloat16
is measured everywhere, and has bounds on processors that compute in it: elsewhere it is emulated.

Of the sizes, `ratio` is bytes over those of what Keras itself writes, `keras.export.ExportArchive` with the
same signatures, which stores every weight twice; `detail` also compares with `--plain`, which stores them
once. Exits with 1 outside of the bounds.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcgan_steps
import numpy as np

from gannet_training.startup import start_tensorflow

STEPS, TURNS, SECONDS = 30, 15, 0.15
BOUNDS = {"float32": {1: 0.97, 16: 0.97, 64: 0.97}, "bfloat16": {1: 2.5, 64: 1.6}}
SIZE_BOUND = 0.5
BATCHES = (1, 16, 64)

Call = Callable[[np.ndarray], object]


def main() -> None:
    start_tensorflow()
    missed = False
    with tempfile.TemporaryDirectory() as models:
        gan = trained()
        versions = exported(gan.ema_generator, Path(models))
        keras_archive = archived(gan.ema_generator, Path(models) / "keras")
        calls = {name: session_call(version) for name, version in versions.items()}
        for name in ("float32", "bfloat16"):
            binding = name == "float32" or computes_bfloat16()
            for batch in BATCHES:
                ratio = faster(calls["plain"], calls[name], batch)
                bound = BOUNDS[name].get(batch) if binding else None
                report(f"export_speed_{name}_batch_{batch}", ratio, "the plain export", bound)
                missed |= bound is not None and ratio < bound
            ratio = over(versions[name], keras_archive)
            plain = over(versions[name], versions["plain"])
            report(f"export_size_{name}", ratio, "keras.export.ExportArchive", SIZE_BOUND, plain=plain)
            missed |= ratio > SIZE_BOUND
    sys.exit(missed)


def report(name: str, ratio: float, other: str, bound: float | None, **more: float) -> None:
    detail = {
        "compared with": other,
        "bound": bound,
        **{f"ratio to {key}": value for key, value in more.items()},
    }
    print(json.dumps({"name": name, "ratio": ratio, "unit": "1", "detail": detail}), flush=True)


def trained() -> Any:
    from gannet_training import batches
    from gannet_training.data import in_memory

    gan = dcgan_steps.model()
    data = batches(in_memory(dcgan_steps.images()), batch_size=dcgan_steps.BATCH, draws=gan.draws, seed=0)
    gan.fit(data, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    return gan


def exported(generator: Any, models: Path) -> dict[str, Path]:
    from gannet_export import export

    settings: dict[str, dict[str, Any]] = {
        "plain": {"plain": True},
        "float32": {},
        "bfloat16": {"precision": "bfloat16"},
    }
    return {
        name: export(generator, models, name, latent_dim=dcgan_steps.LATENT_DIM, **options)
        for name, options in settings.items()
    }


def archived(generator: Any, directory: Path) -> Path:
    """What Keras writes of the same signatures."""
    import keras

    from gannet_export.servable import Servable

    def draw(latents: Any) -> Any:
        return generator(latents, training=False)

    weights = [variable.value for variable in generator.variables]
    signatures = Servable(draw, weights, dcgan_steps.LATENT_DIM, "{}").signatures()
    archive = keras.export.ExportArchive()
    archive.track(generator)
    for name, answer in signatures.items():
        archive.add_endpoint(
            name, calling(answer), input_signature=list(answer.structured_input_signature[0])
        )
    archive.write_out(str(directory), verbose=False)
    return directory


def calling(answer: Any) -> Call:
    """A function of Python, which is what Keras takes."""
    return lambda rows: answer(rows)


def session_call(version: Path) -> Call:
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    with tf.Graph().as_default() as graph:
        session = tf.compat.v1.Session(graph=graph)
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
    signature = loaded.signature_def["pixels"]
    options = config_pb2.CallableOptions()
    options.feed.append(signature.inputs["noise"].name)
    options.fetch.append(signature.outputs["pixels"].name)
    return session._make_callable_from_options(options)


def faster(theirs: Call, ours: Call, batch: int) -> float:
    noise = np.random.default_rng(0).normal(size=(batch, dcgan_steps.LATENT_DIM)).astype(np.float32)
    for call in (theirs, ours):
        call(noise)
    turns = [(seconds(theirs, noise), seconds(ours, noise)) for _ in range(TURNS)]
    return round(statistics.median(other / own for other, own in turns), 3)


def seconds(call: Call, noise: np.ndarray) -> float:
    """Of one call, the mean over a turn."""
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        call(noise)
        count += 1
    return (time.perf_counter() - started) / count


def over(ours: Path, theirs: Path) -> float:
    return round(size(ours) / size(theirs), 3)


def size(version: Path) -> int:
    return sum(file.stat().st_size for file in version.rglob("*") if file.is_file())


def computes_bfloat16() -> bool:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


if __name__ == "__main__":
    main()
