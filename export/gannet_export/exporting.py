"""A generator becomes a version that TensorFlow Serving can serve."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import GannetError, ModelError, UsageError
from gannet_export.card import model_card, write_card
from gannet_export.conditions import conditions_of
from gannet_export.gate import TOLERANCES, ExportRefused, Trial, gatekeeper
from gannet_export.golden import golden_samples
from gannet_export.noise import noise
from gannet_export.publication import publish, staging
from gannet_export.rewriting import NotFreezable, Precision, rewrite
from gannet_export.servable import Draw, Servable
from gannet_export.source import Source
from gannet_export.warmup import write_warmup

PROOF_SEEDS = 1000
"""A rewritten graph draws their images as the plain one does."""
LARGEST_MAX_BATCH = 4096
GOLDEN = "golden.npz"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a generator is exported.

    Attributes:
        precision: of the convolutions; "bfloat16" halves the file, and is faster on processors that have it.
        plain: export the graph as Keras has it, with variables, instead of the one made for inference.
        strict: refuse what cannot be rewritten, or not be halved without other images, instead of exporting
            it plain or in float32.
        max_batch: rows of the largest request that the version is warmed for, 1 to 4096.

    Raises:
        UsageError: they contradict each other, or the batch cannot be.
    """

    precision: Precision = "float32"
    plain: bool = False
    strict: bool = False
    max_batch: int = 32

    def __post_init__(self) -> None:
        if self.plain and self.precision != "float32":
            raise UsageError(
                f"a plain export computes as Keras does, received precision {self.precision}; choose one"
            )
        if not 1 <= self.max_batch <= LARGEST_MAX_BATCH:
            raise UsageError(
                f"expected a largest batch of 1 to {LARGEST_MAX_BATCH} rows, received {self.max_batch}"
            )


def export(
    generator: keras.Model,
    models: Path | str,
    name: str,
    *,
    latent_dim: int,
    family: str = "custom",
    training: dict[str, Any] | None = None,
    classes: Sequence[str] = (),
    codes: int = 0,
    truncation: bool = False,
    version: int | None = None,
    **options: Any,
) -> Path:
    """Publish a generator as `<models>/<name>/<version>/`, or nothing at all.

    The SavedModel is written where no server looks, tried in a process of its own as TensorFlow Serving would
    run it, compared with the generator signature by signature, and only then renamed to its number.

    Args:
        generator: a Keras model from float32 noise [B, latent_dim] to images [B, H, W, C] in [-1, 1]. With
            conditions, from the tuple of noise and those that it has, in this order: labels int64 [B], codes
            float32 [B, K], truncation float32 [B].
        models: the models directory; made if missing.
        name: of the model.
        latent_dim: width Z of the noise.
        family: the kind of GAN, for the model card.
        training: provenance for the model card: data, steps, seed, settings; JSON values.
        classes: the names of a conditional generator's K classes; label k is the k-th.
        codes: how many continuous codes it takes.
        truncation: whether it takes how far a row may go from the average latent.
        version: the number to take; by default the next free one.
        options: see :class:`Options`.

    Returns:
        The version directory.

    Raises:
        ExportRefused: the export did not pass the gate; exit code 4.
        ModelError: the generator draws no images; or `strict`, and the images of bfloat16 are not those of
            float32.
        UsageError: the name, the version, the directory or an option cannot be used.

    Example:
        >>> import tempfile
        >>> generator = keras.Sequential(
        ...     [keras.Input([3]), keras.layers.Dense(64, "tanh"), keras.layers.Reshape([8, 8, 1])]
        ... )
        >>> with tempfile.TemporaryDirectory() as models:
        ...     export(generator, models, "tiny", latent_dim=3).name
        '1'
    """
    chosen = Options(**options)
    source = Source.of_keras(generator, latent_dim, conditions_of(classes, codes, truncation))
    return export_source(
        source, Path(models), name, family=family, training=training or {}, version=version, options=chosen
    )


def export_source(
    source: Source,
    models: Path,
    name: str,
    *,
    family: str,
    training: dict[str, Any],
    version: int | None,
    options: Options,
) -> Path:
    """Publish a generator, wherever it comes from; see :func:`export`."""
    # The second directory is for what the gate compares with, and no part of the version.
    with staging(models, name, version) as staged, staging(models, name) as beside:
        keeper = gatekeeper()  # loads TensorFlow while the graph is made
        card = model_card(source, family=family, training=training)
        variety = max((condition.variety for condition in source.conditions), default=2)
        golden = golden_samples(source, max(options.max_batch, variety))
        draw, weights, card["graph"] = _graph(source, options)
        with _disk(staged):
            golden.save(beside / GOLDEN)
            card["warmed"] = write_warmup(staged, name, card["conditions"], golden.given, options.max_batch)
            card["largest_warmed_batch"] = options.max_batch
            _save(Servable(draw, weights, source.latent_dim, json.dumps(card), source.conditions), staged)
        tolerance = TOLERANCES[card["graph"]["precision"]]
        trial = Trial(staged, beside / GOLDEN, options.max_batch, card, card["warmed"], tolerance)
        verdict = keeper.judge(trial)
        if not verdict.passed:
            raise ExportRefused(verdict)
        write_card(staged, {**card, "gate": verdict.json()})
        directory = publish(staged, version)
    log.info("published %s", directory)
    return directory


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    """TensorFlow's errors of the file system as Gannet's."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise GannetError(f"cannot write {directory}: {reason}; nothing was published") from error


def _graph(source: Source, options: Options) -> tuple[Draw, Sequence[tf.Variable], dict[str, Any]]:
    """What draws the images, the variables that it reads, and what the card says of it."""
    if not options.plain:
        try:
            rewriting = rewrite(
                source.function, _proof_rows(source), precision=options.precision, strict=options.strict
            )
            return rewriting.function(), [], rewriting.summary()
        except NotFreezable as error:
            if options.strict:
                raise ModelError(f"cannot rewrite the generator: {error}; nothing was published") from error
            log.warning("the generator is exported as Keras has it: %s", error)
            return source.function, source.variables, _plain({"the whole graph": {str(error): 1}})
    return source.function, source.variables, _plain({})


def _plain(left: dict[str, Any]) -> dict[str, Any]:
    return {"precision": "float32", "rewritten": {}, "left": left}


def _proof_rows(source: Source) -> dict[str, np.ndarray]:
    """What the rewritten graph is compared on."""

    @tf.function
    def draw(seeds: tf.Tensor) -> dict[str, tf.Tensor]:  # eager, the noise would take a hundred times as long
        rows = {
            condition.name: condition.of_seeds(tf.constant(condition.examples(PROOF_SEEDS)), seeds)
            for condition in source.conditions
        }
        return {contract.NOISE: noise(seeds, source.latent_dim), **rows}

    return {name: rows.numpy() for name, rows in draw(tf.range(PROOF_SEEDS, dtype=tf.int64)).items()}


def _save(servable: Servable, directory: Path) -> None:
    try:
        tf.saved_model.save(servable, str(directory), signatures=servable.signatures())
    except AssertionError as error:  # a lookup table, for example, that nothing but the function knows
        reason = (str(error).splitlines() or ["it cannot be saved"])[0]
        raise ModelError(
            f"the generator reads more than its weights: {reason}; nothing was published"
        ) from error
