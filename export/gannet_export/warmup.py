"""The requests that TensorFlow Serving plays to a version before it says AVAILABLE."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from gannet_client import codec, contract, wire

EVERY_BATCH = (contract.PIXELS, contract.SEEDED_PIXELS)
"""The signatures whose callers wait for many images; the others are warmed with one row."""


def batches(largest: int) -> list[int]:
    """The batches to warm: the powers of two, and the largest.

    Example:
        >>> batches(32), batches(5)
        ([1, 2, 4, 8, 16, 32], [1, 2, 4, 5])
    """
    return [*(2**power for power in range(largest.bit_length()) if 2**power < largest), largest]


def write_warmup(
    directory: Path, name: str, conditions: Sequence[str], given: Mapping[str, np.ndarray], largest: int
) -> dict[str, list[int]]:
    """Write the warm-up file of a version.

    Args:
        directory: of the version.
        name: of the model.
        conditions: names of the model's conditions.
        given: by the name of the input, [N, ...] of N at least `largest` rows.
        largest: batch to warm.

    Returns:
        The warmed batches by signature, for the model card.
    """
    warmed = {
        signature: batches(largest if signature in EVERY_BATCH else 1) for signature in contract.SIGNATURES
    }
    path = directory / contract.WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, sizes in warmed.items():
            for rows in sizes:
                aliases = contract.inputs(signature, conditions)
                values = {alias: given[alias][:rows] for alias in aliases}
                writer.write(_record(name, signature, values))
    return warmed


def read_warmup(directory: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Read a warm-up file: a signature and its inputs by name for each request.

    Raises:
        ValueError: a record is no Predict request, or a value in it is broken.
        tf.errors.OpError: there is no file of records.
    """
    for record in tf.data.TFRecordDataset(str(directory / contract.WARMUP_FILE)).as_numpy_iterator():
        log = wire.PredictionLog.FromString(record)
        if not log.HasField("predict_log"):
            raise ValueError("expected a Predict request in every record, received another kind")
        request = log.predict_log.request
        values = {alias: codec.decode(proto) for alias, proto in request.inputs.items()}
        yield request.model_spec.signature_name, values


def _record(name: str, signature: str, values: Mapping[str, np.ndarray]) -> bytes:
    log = wire.PredictionLog()
    log.predict_log.request.model_spec.name = name
    log.predict_log.request.model_spec.signature_name = signature
    for alias, array in values.items():
        codec.encode(array, log.predict_log.request.inputs[alias])
    return log.SerializeToString(deterministic=True)
