"""A generator becomes a version that TensorFlow Serving can serve."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import GannetError, ModelError, UsageError
from gannet_export.card import model_card, write_card
from gannet_export.check import check
from gannet_export.noise import noise
from gannet_export.publication import publish, staging
from gannet_export.rewriting import NotFreezable, Precision, rewrite
from gannet_export.servable import Servable, drawing

PROOF_SEEDS = 1000
"""A rewritten graph draws their images as the plain one does."""
log = logging.getLogger(__name__)


def export(
    generator: keras.Model,
    models: Path | str,
    name: str,
    *,
    latent_dim: int,
    family: str = "custom",
    training: dict[str, Any] | None = None,
    classes: Sequence[str] = (),
    version: int | None = None,
    precision: Precision = "float32",
    plain: bool = False,
    strict: bool = False,
) -> Path:
    """Publish a generator as `<models>/<name>/<version>/`, or nothing at all.

    The SavedModel is written where no server looks, loaded as TensorFlow Serving loads it, compared with the
    generator signature by signature, and only then renamed to its number.

    Args:
        generator: a built Keras model from float32 noise [B, latent_dim] to images [B, H, W, C] in [-1, 1],
            with C 1 or 3; from the pair (noise, labels int64 [B]) if it has classes.
        models: the models directory; made if missing.
        name: of the model.
        latent_dim: width Z of the noise.
        family: the kind of GAN, for the model card.
        training: provenance for the model card: data, steps, seed, settings; JSON values.
        classes: the names of a conditional generator's K classes; label k is the k-th.
        version: the number to take; by default the next free one.
        precision: of the convolutions; "bfloat16" halves the file, and is faster on processors that have it.
        plain: export the graph as Keras has it, with variables, instead of the one made for inference.
        strict: refuse where bfloat16 draws other images, instead of staying in float32.

    Returns:
        The version directory.

    Raises:
        ExportRefused: the check failed; exit code 4.
        ModelError: `strict`, and the images of bfloat16 are not those of float32.
        UsageError: the name, the version or the directory cannot be used, or `plain` in bfloat16.

    Example:
        >>> import tempfile
        >>> generator = keras.Sequential(
        ...     [keras.Input([3]), keras.layers.Dense(64, "tanh"), keras.layers.Reshape([8, 8, 1])]
        ... )
        >>> with tempfile.TemporaryDirectory() as models:
        ...     export(generator, models, "tiny", latent_dim=3).name
        '1'
    """
    if plain and precision != "float32":
        raise UsageError(f"a plain export computes as Keras does, received precision {precision}; choose one")
    card = model_card(
        generator, latent_dim=latent_dim, family=family, training=training or {}, classes=classes
    )
    with staging(Path(models), name, version) as staged:
        draw, weights, card["graph"] = _graph(generator, latent_dim, len(classes), plain, precision, strict)
        servable = Servable(draw, weights, latent_dim, json.dumps(card), len(classes))
        _save(servable, staged)
        check(staged, generator, latent_dim, len(classes), precision=card["graph"]["precision"])
        write_card(staged, card)
        directory = publish(staged, version)
    log.info("published %s", directory)
    return directory


def _graph(
    generator: keras.Model, latent_dim: int, classes: int, plain: bool, precision: Precision, strict: bool
) -> tuple[Any, list[keras.Variable], dict[str, Any]]:
    """What draws the images, the variables that it reads, and what the card says of it."""
    draw = drawing(generator, latent_dim, classes)
    if not plain:
        try:
            rewriting = rewrite(draw, _proof_rows(latent_dim, classes), precision=precision, strict=strict)
            return rewriting.function(), [], rewriting.summary()
        except NotFreezable as error:
            if strict:
                raise ModelError(f"cannot rewrite the generator: {error}; nothing was published") from error
            log.warning("the generator is exported as Keras has it: %s", error)
    return draw, generator.variables, {"precision": "float32", "rewritten": {}}


def _proof_rows(latent_dim: int, classes: int) -> dict[str, np.ndarray]:
    """What the rewritten graph is compared on."""
    rows = {contract.NOISE: tf.function(noise)(tf.range(PROOF_SEEDS, dtype=tf.int64), latent_dim).numpy()}
    return {**rows, contract.LABELS: np.arange(PROOF_SEEDS) % classes} if classes else rows


def _save(servable: Servable, directory: Path) -> None:
    try:
        tf.saved_model.save(servable, str(directory), signatures=servable.signatures())
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise GannetError(f"cannot write {directory}: {reason}; nothing was published") from error
