"""The model card: what a version is and where it came from, as JSON."""

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gannet_client import contract

_LIBRARIES = ("gannet-toolkit", "keras", "numpy", "tensorflow")


def model_card(
    generator: keras.Model,
    *,
    latent_dim: int,
    family: str,
    training: dict[str, Any],
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe a generator.

    Args:
        generator: a built Keras model from noise [B, latent_dim], or from a pair of it and labels [B], to
            images [B, H, W, C].
        latent_dim: width Z of the noise.
        family: the kind of GAN, for example "dcgan".
        training: data, steps, seed and settings it was trained with; JSON values.
        classes: names of the classes of a conditional model.

    Returns:
        JSON values under the keys of format 1; `files` is added at publication.
    """
    latents = keras.ops.zeros((1, latent_dim))
    given = (latents, keras.ops.zeros((1,), "int64")) if classes else latents
    shape = generator(given, training=False).shape
    return {
        "format": contract.CARD_FORMAT,
        "family": family,
        "latent_dim": latent_dim,
        "image_shape": list(shape[1:]),
        "classes": list(classes) or None,
        "conditions": [contract.LABELS] if classes else [],
        "training": training,
        "metrics": {},
        "largest_warmed_batch": None,
        "weights_sha256": _weights_sha256(generator),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
    }


def write_card(directory: Path, card: dict[str, Any]) -> None:
    """Write the card into a version directory, with the sha256 of every other file in it."""
    path = directory / contract.CARD_FILE
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file != path)
    sums = {file.relative_to(directory).as_posix(): _sha256(file) for file in files}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**card, "files": sums}, indent=2) + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _weights_sha256(generator: keras.Model) -> str:
    # Of the values alone: names and file layouts differ between processes, the values do not.
    digest = hashlib.sha256()
    for weight in generator.get_weights():
        digest.update(f"{weight.dtype} {weight.shape}".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
