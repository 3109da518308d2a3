"""Generators trained elsewhere, as sources of an export."""

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import UsageError
from gannet_export.conditions import Condition, conditions_of
from gannet_export.exporting import Options, export_source
from gannet_export.source import Source, layers_of


def export_file(
    path: Path,
    signature: str | None,
    models: Path,
    name: str,
    *,
    classes: Sequence[str] = (),
    codes: int = 0,
    truncation: bool = False,
    version: int | None = None,
    **options: Any,
) -> Path:
    """Publish a generator that was trained elsewhere; it passes the same gate as any other.

    Args:
        path: a `.keras` file, see :func:`keras_source`, or the directory of a SavedModel, see
            :func:`saved_model_source`.
        signature: of the SavedModel.
        models: the models directory; made if missing.
        name: of the model.
        classes: names of its classes, if it takes labels.
        codes: how many continuous codes it takes.
        truncation: whether it takes a truncation.
        version: the number to take; by default the next free one.
        options: see :class:`gannet_export.exporting.Options`.

    Returns:
        The version directory.

    Raises:
        ExportRefused: the export did not pass the gate; nothing was published.
        ModelError: the generator draws no images.
        UsageError: there is no such generator, or an argument cannot be used.
    """
    chosen = Options(**options)
    conditions = conditions_of(classes, codes, truncation)
    if signature is None:
        source = keras_source(path, conditions)
    else:
        source = saved_model_source(path, signature, conditions)
    training = _origin(path, signature)
    return export_source(
        source, models, name, family="imported", training=training, version=version, options=chosen
    )


def keras_source(file: Path, conditions: Sequence[Condition] = ()) -> Source:
    """Read a generator from a `.keras` file.

    Args:
        file: of a model of noise [B, Z], or of noise and its conditions, which must know its input shapes.
        conditions: what it takes beside noise.

    Raises:
        UsageError: the file holds no such model.
    """
    try:
        generator = keras.models.load_model(file, compile=False)
    except Exception as error:  # a broken file makes the loader raise just about anything
        raise UsageError(f"cannot read a Keras model from {file}: {_reason(error)}") from error
    shapes = _input_shapes(generator)
    if len(shapes) != 1 + len(conditions) or len(shapes[0]) != 2 or shapes[0][1] is None:
        wanted = ", ".join(["noise [B, Z]", *(condition.name for condition in conditions)])
        received = ", ".join(map(str, shapes)) or "no known input"
        raise UsageError(f"expected a Keras model of {wanted}, received one of {received}: {file}")
    in_full_precision(generator)
    return Source.of_keras(generator, shapes[0][1], tuple(conditions))


def saved_model_source(directory: Path, signature: str, conditions: Sequence[Condition] = ()) -> Source:
    """Read a generator from a SavedModel, of TensorFlow 1 or 2.

    Args:
        directory: holds `saved_model.pb`.
        signature: the one that draws: of one float input of known size, the noise, of whatever shape, and the
            conditions under their names; of one output, or of one named "images".
        conditions: what it takes beside noise.

    Raises:
        UsageError: there is no such SavedModel or signature, or the signature draws no images from noise.
    """
    try:
        loaded = tf.saved_model.load(str(directory))
    except Exception as error:
        raise UsageError(f"cannot read a SavedModel from {directory}: {_reason(error)}") from error
    if signature not in loaded.signatures:
        known = sorted(loaded.signatures)
        near = difflib.get_close_matches(signature, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"unknown signature '{signature}', expected one of: {', '.join(known)}{hint}")
    function = loaded.signatures[signature]
    specs = dict(function.structured_input_signature[1])
    noise = _noise_input(specs, conditions)
    spec = specs[noise]
    sizes = list(spec.shape[1:])
    output = _image_output(function)

    def call(latents: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
        values = {
            condition.name: tf.cast(value, specs[condition.name].dtype)
            for condition, value in zip(conditions, given, strict=True)
        }
        values[noise] = tf.cast(tf.reshape(latents, [-1, *sizes]), spec.dtype)
        return function(**values)[output]

    # What was loaded holds the variables; the function alone does not keep them alive.
    call.loaded = loaded  # type: ignore[attr-defined]
    variables = list(function.variables)
    return Source(call, variables, variables, spec.shape[1:].num_elements(), tuple(conditions))


def _origin(path: Path, signature: str | None) -> dict[str, Any]:
    """Say where a generator came from, for the model card; the checksum is of graph and weights."""
    graph_and_weights = [*path.glob("saved_model.pb*"), *path.glob("variables/*")]
    digest = hashlib.sha256()
    for file in sorted(graph_and_weights) or [path]:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return {"imported": path.resolve().name, "signature": signature, "sha256": digest.hexdigest()}


def in_full_precision(network: keras.Model) -> None:
    """Let every layer compute in float32; the weights of half-precision policies are float32 already."""
    for layer in layers_of(network):
        if layer.compute_dtype in ("float16", "bfloat16"):
            layer.dtype_policy = keras.DTypePolicy("float32")


def _input_shapes(network: Any) -> list[Any]:
    """One shape per input of a Keras model; none if it does not know."""
    shapes = getattr(network, "input_shape", None) or []
    several = all(isinstance(shape, list | tuple) for shape in shapes)
    return list(shapes) if several else [shapes]


def _noise_input(specs: dict[str, Any], conditions: Sequence[Condition]) -> str:
    rest = specs.keys() - {condition.name for condition in conditions}
    (noise, *others) = [*rest, None]
    complete = others == [None] and len(specs) == 1 + len(conditions)
    if not complete or not specs[noise].dtype.is_floating or not _known(specs[noise].shape):
        wanted = ", ".join(["noise of a float type [B, Z]", *(condition.name for condition in conditions)])
        raise UsageError(f"expected a signature of {wanted}, received one of {_told(specs)}")
    return noise


def _known(shape: tf.TensorShape) -> bool:
    return shape.rank is not None and shape.rank >= 2 and shape[1:].is_fully_defined()


def _image_output(function: Any) -> str:
    outputs = dict(function.structured_outputs)
    if len(outputs) != 1 and contract.IMAGES not in outputs:
        raise UsageError(f"expected a signature of one output, received one of {_told(outputs)}")
    return contract.IMAGES if contract.IMAGES in outputs else next(iter(outputs))


def _told(specs: dict[str, Any]) -> str:
    return ", ".join(f"{name} {spec.dtype.name} {spec.shape}" for name, spec in sorted(specs.items()))


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [repr(error)])[0]
