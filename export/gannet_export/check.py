"""The check before publication: load as TensorFlow Serving does, and compare with the generator in memory."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import ModelError
from gannet_export.noise import noise
from gannet_export.servable import to_pixels

ROW_COUNTS = (0, 1, 2)
IMAGE_TOLERANCE = 1e-5
"""Largest difference allowed between an exported image and the generator's own, in [-1, 1]."""
PIXEL_TOLERANCE = 1
"""The same in grey levels: a rounding boundary may fall between two equally good floats."""


class ExportRefused(ModelError):
    """The export does not answer as its generator does; nothing was published."""


def check(directory: Path, generator: keras.Model, latent_dim: int) -> None:
    """Run every signature of a SavedModel and compare with the generator it came from.

    A `tf.compat.v1.Session` loads it, because TensorFlow Serving does: the Python loader restores models that
    TensorFlow Serving cannot.

    Args:
        directory: holds `saved_model.pb`.
        generator: the Keras model that was exported, in memory.
        latent_dim: width Z of the noise.

    Raises:
        ExportRefused: the SavedModel does not load or an answer differs; the message names the signature,
            what was expected and what was received.
    """
    try:
        for rows, answers in _answers(directory, latent_dim):
            _compare(answers, _expected(generator, rows, latent_dim), rows)
    except (tf.errors.OpError, OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ExportRefused(
            f"the export does not run in the Session that TensorFlow Serving uses: {reason}; "
            "nothing was published"
        ) from error


def _answers(directory: Path, latent_dim: int) -> list[tuple[int, dict[str, np.ndarray]]]:
    given = [_given(rows, latent_dim) for rows in ROW_COUNTS]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(directory))
        missing = [name for name in contract.SIGNATURES if name not in loaded.signature_def]
        if missing:
            raise ExportRefused(
                f"the export lacks the signatures {', '.join(missing)}; nothing was published"
            )
        signatures = {name: loaded.signature_def[name] for name in contract.SIGNATURES}
        return [
            (rows, {name: _run(session, signature, inputs) for name, signature in signatures.items()})
            for rows, inputs in zip(ROW_COUNTS, given, strict=True)
        ]


def _given(rows: int, latent_dim: int) -> dict[str, np.ndarray]:
    return {
        contract.NOISE: noise(range(rows), latent_dim).numpy(),
        contract.SEEDS: np.arange(rows),
        contract.ROWS: np.arange(rows),
    }


def _run(session: Any, signature: Any, given: dict[str, np.ndarray]) -> Any:
    (output,) = signature.outputs.values()
    return session.run(output.name, {tensor.name: given[name] for name, tensor in signature.inputs.items()})


def _expected(generator: keras.Model, rows: int, latent_dim: int) -> dict[str, np.ndarray]:
    latents = noise(range(rows), latent_dim)
    images = tf.cast(generator(latents, training=False), tf.float32)
    pixels = to_pixels(images).numpy()
    return {
        contract.LATENTS: latents.numpy(),
        contract.SERVING_DEFAULT: images.numpy(),
        contract.PIXELS: pixels,
        contract.SEEDED_PIXELS: pixels,
    }


def _compare(answers: dict[str, np.ndarray], expected: dict[str, np.ndarray], rows: int) -> None:
    shape = expected[contract.PIXELS].shape[1:]
    for encoded, decoded in ((contract.PNG, contract.PIXELS), (contract.SEEDED_PNG, contract.SEEDED_PIXELS)):
        images = [tf.io.decode_png(file).numpy() for file in answers[encoded]]
        expected = {**expected, encoded: answers[decoded]}
        answers = {**answers, encoded: np.reshape(np.asarray(images, np.uint8), (-1, *shape))}
    formats = [json.loads(card)["format"] for card in answers[contract.CARD]]
    answers = {**answers, contract.CARD: np.asarray(formats, np.int64)}
    expected = {**expected, contract.CARD: np.full(rows, contract.CARD_FORMAT, np.int64)}
    tolerances = {contract.LATENTS: 0.0, contract.SERVING_DEFAULT: IMAGE_TOLERANCE, contract.CARD: 0}
    for name in contract.SIGNATURES:
        _require_close(name, rows, answers[name], expected[name], tolerances.get(name, PIXEL_TOLERANCE))


def _require_close(
    signature: str, rows: int, answer: np.ndarray, expected: np.ndarray, tolerance: float
) -> None:
    kind, wanted = f"{answer.dtype} {list(answer.shape)}", f"{expected.dtype} {list(expected.shape)}"
    if kind != wanted:
        raise ExportRefused(
            f"signature '{signature}' of {rows} rows: expected {wanted}, received {kind}; "
            "nothing was published"
        )
    difference = np.abs(answer.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0)
    # Not `difference > tolerance`, which lets NaN pass.
    if not difference <= tolerance:
        raise ExportRefused(
            f"signature '{signature}' of {rows} rows: expected the generator's own values within "
            f"{tolerance}, received a difference of {difference:.3g}; nothing was published"
        )
