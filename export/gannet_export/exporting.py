"""A generator becomes a version that TensorFlow Serving can serve."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from gannet_client.errors import GannetError
from gannet_export.card import model_card, write_card
from gannet_export.check import check
from gannet_export.publication import publish, staging
from gannet_export.servable import Servable

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

    Returns:
        The version directory.

    Raises:
        ExportRefused: the check failed; exit code 4.
        UsageError: the name, the version or the directory cannot be used.

    Example:
        >>> import tempfile
        >>> generator = keras.Sequential(
        ...     [keras.Input([3]), keras.layers.Dense(64, "tanh"), keras.layers.Reshape([8, 8, 1])]
        ... )
        >>> with tempfile.TemporaryDirectory() as models:
        ...     export(generator, models, "tiny", latent_dim=3).name
        '1'
    """
    card = model_card(
        generator, latent_dim=latent_dim, family=family, training=training or {}, classes=classes
    )
    with staging(Path(models), name, version) as staged:
        servable = Servable(generator, latent_dim, json.dumps(card), len(classes))
        _save(servable, staged)
        check(staged, generator, latent_dim, len(classes))
        write_card(staged, card)
        directory = publish(staged, version)
    log.info("published %s", directory)
    return directory


def _save(servable: Servable, directory: Path) -> None:
    try:
        tf.saved_model.save(servable, str(directory), signatures=servable.signatures())
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise GannetError(f"cannot write {directory}: {reason}; nothing was published") from error
