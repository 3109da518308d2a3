"""The check before publication: load as TensorFlow Serving does, and compare with the generator in memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import ModelError
from gannet_export.classes import classes_of_noise, classes_of_seeds
from gannet_export.noise import noise
from gannet_export.servable import to_pixels

ROWS_AT_ONCE = 64


class Tolerance(NamedTuple):
    """Largest difference allowed between what an export draws and the generator's own.

    Attributes:
        images: in [-1, 1].
        pixels: in grey levels; a rounding boundary may fall between two equally good floats.
    """

    images: float
    pixels: int


TOLERANCES = {"float32": Tolerance(1e-5, 1), "bfloat16": Tolerance(2 / 127.5, 3)}
"""By the precision of the export."""


class ExportRefused(ModelError):
    """The export does not answer as its generator does; nothing was published."""


Rows = dict[str, np.ndarray]
"""Inputs or answers by name, a row each."""


def check(
    directory: Path,
    generator: keras.Model,
    latent_dim: int,
    classes: int = 0,
    *,
    precision: str = "float32",
) -> None:
    """Run every signature of a SavedModel and compare with the generator it came from.

    No row, one, several; of a conditional model every class, and classes drawn from seed and noise. The first
    row is always the same: its image must not depend on the others.

    A `tf.compat.v1.Session` loads it, because TensorFlow Serving does: the Python loader restores models that
    TensorFlow Serving cannot.

    Args:
        directory: holds `saved_model.pb`.
        generator: the Keras model that was exported, in memory.
        latent_dim: width Z of the noise.
        classes: number K of classes of a conditional model.
        precision: of the export; bfloat16 may be two grey levels off.

    Raises:
        ExportRefused: the SavedModel does not load or an answer differs; the message names the signature,
            what was expected and what was received.
    """
    cases = list(_cases(latent_dim, classes))
    try:
        answers = _answers(directory, cases)
        for given, received in zip(cases, answers, strict=True):
            _compare(received, _expected(generator, given, classes), TOLERANCES[precision])
        _require_independence(
            [received[contract.SEEDED_PIXELS] for received in answers], TOLERANCES[precision]
        )
    except (tf.errors.OpError, OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ExportRefused(
            f"the export does not run in the Session that TensorFlow Serving uses: {reason}; "
            "nothing was published"
        ) from error


def _cases(latent_dim: int, classes: int) -> Iterator[Rows]:
    """Inputs of all signatures: a few rows, of a conditional model as many as show every class."""
    labels = [contract.ANY_CLASS, *range(classes)] if classes else [contract.ANY_CLASS] * 2
    several = [
        [labels[0], *labels[start : start + ROWS_AT_ONCE]] for start in range(1, len(labels), ROWS_AT_ONCE)
    ]
    for rows in ([], labels[:1], *several):
        seeds = np.arange(len(rows), dtype=np.int64)
        yield {
            contract.NOISE: noise(seeds, latent_dim).numpy(),
            contract.SEEDS: seeds,
            contract.ROWS: seeds,
            contract.LABELS: np.array(rows, np.int64),
        }


def _answers(directory: Path, cases: list[Rows]) -> list[Rows]:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], str(directory))
        missing = [name for name in contract.SIGNATURES if name not in loaded.signature_def]
        if missing:
            raise ExportRefused(
                f"the export lacks the signatures {', '.join(missing)}; nothing was published"
            )
        signatures = {name: loaded.signature_def[name] for name in contract.SIGNATURES}
        return [
            {name: _run(session, signature, given) for name, signature in signatures.items()}
            for given in cases
        ]


def _run(session: Any, signature: Any, given: dict[str, np.ndarray]) -> Any:
    (output,) = signature.outputs.values()
    return session.run(output.name, {tensor.name: given[name] for name, tensor in signature.inputs.items()})


def _expected(generator: keras.Model, given: Rows, classes: int) -> Rows:
    latents, seeds, labels = (
        tf.constant(given[name]) for name in (contract.NOISE, contract.SEEDS, contract.LABELS)
    )
    if classes:
        by_noise = _images(generator, (latents, classes_of_noise(labels, latents, classes)))
        by_seeds = _images(generator, (latents, classes_of_seeds(labels, seeds, classes)))
    else:
        by_noise = by_seeds = _images(generator, latents)
    return {
        contract.LATENTS: latents.numpy(),
        contract.SERVING_DEFAULT: by_noise.numpy(),
        contract.PIXELS: to_pixels(by_noise).numpy(),
        contract.SEEDED_PIXELS: to_pixels(by_seeds).numpy(),
    }


def _images(generator: keras.Model, given: Any) -> tf.Tensor:
    return tf.cast(generator(given, training=False), tf.float32)


def _compare(answers: Rows, expected: Rows, allowed: Tolerance) -> None:
    rows = len(expected[contract.LATENTS])
    shape = expected[contract.PIXELS].shape[1:]
    for encoded, decoded in ((contract.PNG, contract.PIXELS), (contract.SEEDED_PNG, contract.SEEDED_PIXELS)):
        images = [tf.io.decode_png(file).numpy() for file in answers[encoded]]
        expected = {**expected, encoded: answers[decoded]}
        answers = {**answers, encoded: np.reshape(np.asarray(images, np.uint8), (-1, *shape))}
    formats = [json.loads(card)["format"] for card in answers[contract.CARD]]
    answers = {**answers, contract.CARD: np.asarray(formats, np.int64)}
    expected = {**expected, contract.CARD: np.full(rows, contract.CARD_FORMAT, np.int64)}
    tolerances = {contract.LATENTS: 0.0, contract.SERVING_DEFAULT: allowed.images, contract.CARD: 0}
    for name in contract.SIGNATURES:
        _require_close(name, rows, answers[name], expected[name], tolerances.get(name, allowed.pixels))


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


def _require_independence(pixels: list[np.ndarray], allowed: Tolerance) -> None:
    first = [rows[0].astype(int) for rows in pixels if len(rows)]
    difference = max(np.abs(rows - first[0]).max() for rows in first)
    if difference > allowed.pixels:
        raise ExportRefused(
            "expected an image that depends on its own noise alone, received one that differs by "
            f"{difference} grey levels beside others; take out of the generator what mixes rows; "
            "nothing was published"
        )
