"""Writes the models that the suite asks for: `python tests/conformance/models.py DIRECTORY [SEEN_AS]`.

The directory also gets `models.config`, with which a TensorFlow Serving serves all of them, and
`batching.config` for one with batching; SEEN_AS is the directory's path as that server sees it.
"""

import shutil
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

WIDTH = 100
DTYPES = (
    *("bfloat16", "bool", "complex128", "complex64", "float16", "float32", "float64", "int16", "int32"),
    *("int64", "int8", "string", "uint16", "uint32", "uint64", "uint8"),
)
VERSIONS = {"gen": 1, "zoo": 7, "dtypes": 1, "plain": 1, "examples": 1}
BATCHED = {
    "gen": ("gen", "max_batch_size { value: 64 } allowed_batch_sizes: [1, 8, 32, 64]"),
    "merging": (
        "gen",
        "max_batch_size { value: 4 } max_enqueued_batches { value: 2 } "
        "batch_timeout_micros { value: 300000 }",
    ),
    "examples": ("examples", "max_batch_size { value: 64 }"),
}
"""In `batched/`: copies of models, each with its own BatchingParameters."""

RELOADS = {"gen": (1, 2), "other": (2, 7), "bad": (1,), "half": (1, 2), "empty": ()}
BROKEN = {("bad", 1), ("half", 2)}


def write_models(directory: Path, seen_as: str = "") -> None:
    """Writes every model that is not there yet, and the files that configure a server."""
    for name, version in VERSIONS.items():
        _write_once(directory / name / str(version), WRITERS[name])
    for name, (original, parameters) in BATCHED.items():
        source = directory / original / str(VERSIONS[original])
        _write_once(directory / "batched" / name / "1", partial(_copy_batched, source, parameters))
    seen = seen_as or str(directory.absolute())
    _write_config(directory / "models.config", seen, VERSIONS)
    _write_config(directory / "batching.config", f"{seen}/batched", BATCHED)
    (directory / "batching_threads.pbtxt").write_text("num_batch_threads { value: 1 }")


def _write_once(path: Path, write: Callable[[Path], object]) -> None:
    if not path.exists():
        staged = path.with_name(f".staging-{path.name}")
        write(staged)
        staged.rename(path)


def _copy_batched(source: Path, parameters: str, path: Path) -> None:
    shutil.copytree(source, path)
    (path / "batching_params.pbtxt").write_text(parameters)


def _write_config(file: Path, directory: str, names: Iterable[str]) -> None:
    entries = (
        f'  config {{ name: "{name}" base_path: "{directory}/{name}" model_platform: "tensorflow" }}\n'
        for name in names
    )
    file.write_text(f"model_config_list {{\n{''.join(entries)}}}\n")


def write_reloads(directory: Path) -> None:
    """Writes what `reloads.toml` asks for: models of many versions, some of them broken."""
    for name, numbers in RELOADS.items():
        (directory / name).mkdir(parents=True)
        for number in numbers:
            path = directory / name / str(number)
            _plain(path)
            if (name, number) in BROKEN:
                (path / "saved_model.pb").write_bytes(b"junk" * 100)


def generate(noise: np.ndarray) -> np.ndarray:
    """What `gen` computes."""
    dense = np.tanh(noise @ kernel()).reshape(-1, 7, 7, 16, 4, 4)
    return dense.mean(axis=3).transpose(0, 1, 3, 2, 4).reshape(-1, 28, 28, 1)


def kernel() -> np.ndarray:
    return np.sin(np.arange(WIDTH * 7 * 7 * 256, dtype=np.float32)).reshape(WIDTH, -1) / 10


def _gen(path: Path) -> None:
    """`noise` float32 [B, 100], a dense layer, 7x7x256, `images` float32 [B, 28, 28, 1]; two signatures."""
    module = tf.Module()
    module.kernel = tf.Variable(kernel())

    def call(noise: Any) -> dict[str, Any]:
        dense = tf.tanh(tf.matmul(noise, module.kernel))
        tiles = tf.reduce_mean(tf.reshape(dense, [-1, 7, 7, 16, 4, 4]), axis=3)
        return {"images": tf.reshape(tf.transpose(tiles, [0, 1, 3, 2, 4]), [-1, 28, 28, 1])}

    specs = [tf.TensorSpec([None, WIDTH], tf.float32, "noise")]
    _save(module, path, {"serving_default": (call, specs), "generate": (call, specs)})


def _zoo(path: Path) -> None:
    """Several inputs and outputs, with a scalar among the outputs."""

    def call(count: Any, half: Any, name: Any) -> dict[str, Any]:
        return {
            "count": count + 1,
            "half": half * 2,
            "name": name + b"\0!",
            "rows": tf.shape(count)[0],
            "small": tf.cast(count, tf.uint8),
            "wide": tf.cast(count, tf.float64) / 2,
            "yes": count > 0,
        }

    specs = [
        tf.TensorSpec([None], tf.int64, "count"),
        tf.TensorSpec([None], tf.bfloat16, "half"),
        tf.TensorSpec([None], tf.string, "name"),
    ]
    _save(tf.Module(), path, {"serving_default": (call, specs)})


def _dtypes(path: Path) -> None:
    """A signature for every dtype that Predict carries, whose output is its input."""

    signatures = {
        name: (lambda value: {"value": tf.identity(value)}, [tf.TensorSpec(None, name, "value")])
        for name in DTYPES
    }
    _save(tf.Module(), path, signatures)


def _plain(path: Path) -> None:
    """What JSON can hold: `serving_default` has one input and output, `several` more of each."""

    def half_plus_two(x: Any) -> dict[str, Any]:
        return {"y": x / 2 + 2}

    def several(x: Any, n: Any, ok: Any, name: Any) -> dict[str, Any]:
        return {
            "x": x,
            "n": n,
            "ok": ok,
            "name": name,
            "name_bytes": name,
            "third": tf.cast(n, tf.float32) / 3,
            "wide": tf.cast(n, tf.float64) / 3,
        }

    def uneven(x: Any) -> dict[str, Any]:
        return {"all": x, "first": x[:1]}

    def scalar(x: Any) -> dict[str, Any]:
        return {"sum": tf.reduce_sum(x)}

    x = tf.TensorSpec(None, tf.float32, "x")
    rest = [
        tf.TensorSpec([None], tf.int64, "n"),
        tf.TensorSpec([None], tf.bool, "ok"),
        tf.TensorSpec([None], tf.string, "name"),
    ]
    signatures = {
        "serving_default": (half_plus_two, [x]),
        "several": (several, [x, *rest]),
        "uneven": (uneven, [tf.TensorSpec([None], tf.float32, "x")]),
        "scalar": (scalar, [x]),
    }
    _save(tf.Module(), path, signatures)


def _examples(path: Path) -> None:
    """A SavedModel of TensorFlow 1, on tf.Examples with two floats `x`, with signatures right and wrong."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        serialized, other = (v1.placeholder(tf.string, [None], name) for name in ("examples", "other"))
        x = v1.parse_example(serialized, {"x": v1.FixedLenFeature([2], tf.float32)})["x"]
        factor = v1.get_variable("factor", initializer=2.0)
        scores, total = x * factor, tf.reduce_sum(x, axis=1)
        classes = tf.tile([["left", "right"]], [tf.shape(x)[0], 1])
        session.run(factor.initializer)
        wholes = tf.cast(x, tf.int64)
        signatures = {
            "serving_default": _def("classify", {"inputs": serialized}, classes=classes, scores=scores),
            "scores": _def("classify", {"inputs": serialized}, scores=scores),
            "classes": _def("classify", {"inputs": serialized}, classes=classes),
            "regress": _def("regress", {"inputs": serialized}, outputs=total),
            "column": _def("regress", {"inputs": serialized}, outputs=total[:, None]),
            "other": _def("regress", {"inputs": other}, outputs=v1.strings.length(other)),
            "two_inputs": _def("classify", {"inputs": serialized, "more": other}, scores=scores),
            "three_outputs": _def("classify", {"inputs": serialized}, scores=scores, a=total, b=total),
            "no_scores": _def("classify", {"inputs": serialized}, images=scores),
            "flat_scores": _def("classify", {"inputs": serialized}, scores=total),
            "whole_scores": _def("classify", {"inputs": serialized}, scores=wholes),
            "one_score": _def("classify", {"inputs": serialized}, scores=scores[:1]),
            "uneven": _def("classify", {"inputs": serialized}, classes=classes, scores=scores[:, :1]),
            "no_outputs": _def("regress", {"inputs": serialized}, images=total),
            "wide_outputs": _def("regress", {"inputs": serialized}, outputs=scores),
            "one_output": _def("regress", {"inputs": serialized}, outputs=total[:1]),
            "whole_outputs": _def("regress", {"inputs": serialized}, outputs=wholes[:, 0]),
        }
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


def _def(method: str, inputs: dict[str, Any], **outputs: Any) -> Any:
    info = tf.compat.v1.saved_model.build_tensor_info
    return tf.compat.v1.saved_model.build_signature_def(
        {alias: info(tensor) for alias, tensor in inputs.items()},
        {alias: info(tensor) for alias, tensor in outputs.items()},
        f"tensorflow/serving/{method}",
    )


def _save(module: Any, path: Path, signatures: dict[str, tuple[Callable[..., Any], list[Any]]]) -> None:
    functions = {key: tf.function(call, input_signature=specs) for key, (call, specs) in signatures.items()}
    module.functions = list(functions.values())
    tf.saved_model.save(module, str(path), signatures=functions)


WRITERS = {"gen": _gen, "zoo": _zoo, "dtypes": _dtypes, "plain": _plain, "examples": _examples}

if __name__ == "__main__":
    write_models(Path(sys.argv[1]), *sys.argv[2:])
    write_reloads(Path(sys.argv[1]) / "reloads")
