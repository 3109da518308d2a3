"""Models of the contract for a real server, small enough to be made on the spot."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

LATENT_DIM = 5
IMAGE = (4, 3, 3)
CLASSES = ["cat", "dog", "owl"]
CODES = 2
FOREIGN = ("float", "unit", "bytes", "two_inputs", "sideways", "classifier")


def write_version(
    directory: Path, *, offset: float = 0.0, conditional: bool = False, classes: Sequence[str] = CLASSES
) -> Path:
    """A version whose image is a smooth function of noise and conditions; complete or absent.

    Args:
        directory: Of the version.
        offset: Tells the images of one version from those of another.
        conditional: Whether it has classes, codes and truncation.
        classes: Their names.
    """
    import tensorflow as tf

    from gannet_export.conditions import conditions_of
    from gannet_export.servable import Servable

    conditions = conditions_of(classes, CODES, True) if conditional else ()
    kernel = tf.constant(
        np.linspace(-1, 1, LATENT_DIM * int(np.prod(IMAGE)), dtype=np.float32).reshape(LATENT_DIM, -1)
    )

    def draw(noise: Any, labels: Any = None, codes: Any = None, truncation: Any = None) -> Any:
        values = tf.matmul(noise, kernel) / 3 + offset
        if conditional:
            values *= truncation[:, None]
            values += tf.cast(labels, tf.float32)[:, None] / 5 + tf.reduce_sum(codes, 1, keepdims=True) / 7
        return tf.reshape(tf.tanh(values), [-1, *IMAGE])

    card = {
        "format": 1,
        "family": "test",
        "latent_dim": LATENT_DIM,
        "image_shape": IMAGE,
        "classes": list(classes) if conditional else None,
        "codes": CODES if conditional else None,
        "conditions": [condition.name for condition in conditions],
        "weights_sha256": f"{offset:g}",
    }
    servable = Servable(draw, [], LATENT_DIM, json.dumps(card), conditions)
    return _save(servable, directory, servable.signatures())


def write_foreign(directory: Path, kind: str) -> Path:
    """A SavedModel of somebody else; `kind` is one of `FOREIGN`."""
    import tensorflow as tf

    noise = tf.TensorSpec([None, LATENT_DIM], tf.float32, "z")
    level = {"unit": tf.nn.sigmoid, "bytes": lambda values: tf.cast(values * 9 + 128, tf.uint8)}.get(
        kind, tf.tanh
    )

    def images(z: Any) -> dict[str, Any]:
        values = level(tf.repeat(z, 12, axis=1))
        return {"generated": tf.reshape(values, [-1, 4, 5, 3])}

    def of_two(z: Any, more: Any) -> dict[str, Any]:
        return images(z + more)

    def classify(z: Any) -> dict[str, Any]:
        return {"scores": tf.nn.softmax(z)}

    def sideways(z: Any) -> dict[str, Any]:
        return {"generated": tf.transpose(images(z)["generated"], [0, 3, 1, 2])}

    if kind == "two_inputs":
        traced = tf.function(of_two, input_signature=[noise, tf.TensorSpec([None, LATENT_DIM], name="more")])
    else:
        answer = {"classifier": classify, "sideways": sideways}.get(kind, images)
        traced = tf.function(answer, input_signature=[noise])
    module = tf.Module()
    module.call = traced
    return _save(module, directory, {"serving_default": traced})


def _save(module: Any, directory: Path, signatures: Any) -> Path:
    import tensorflow as tf

    staged = directory.with_name(f".staging-{directory.name}")
    tf.saved_model.save(module, str(staged), signatures=signatures)
    staged.rename(directory)
    return directory
