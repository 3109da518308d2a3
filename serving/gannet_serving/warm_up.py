"""Plays a version's warm-up records, so that its first caller does not wait for what is done only once."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from gannet_client.contract import WARMUP_FILE
from gannet_serving.loaded import LoadedModel
from gannet_serving.prediction_logs import run_log
from gannet_serving.status import StatusError, invalid

_MAX_RECORDS = 1000
_log = logging.getLogger(__name__)


def warm_up(session: LoadedModel, directory: Path, *, iterations: int) -> None:
    """Plays each record of the version in `directory`, if it has a file of them, `iterations` times.

    Raises:
        StatusError: The file is damaged or has more than 1,000 records, or one of them fails.
    """
    path = directory / WARMUP_FILE
    if not path.exists():
        return
    count = 0
    for count, record in enumerate(_records(path), 1):
        log = _parsed(record, path)
        for _ in range(iterations):
            run_log(session, log)
        if count > _MAX_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {path}")
    _log.info("%s: played %d warm-up records", directory, count)


def _records(path: Path) -> Iterator[bytes]:
    try:
        yield from tf.compat.v1.io.tf_record_iterator(str(path))
    except tf.errors.DataLossError as error:
        raise StatusError(
            grpc.StatusCode.DATA_LOSS,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from None


def _parsed(record: bytes, path: Path) -> Any:
    try:
        return PredictionLog.FromString(record)
    except DecodeError:
        shown = record.decode(errors="backslashreplace")
        raise invalid(f"Failed to parse warmup record: {shown} from {path}") from None
