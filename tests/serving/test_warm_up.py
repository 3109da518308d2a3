"""Warm-up records: played before AVAILABLE, within TensorFlow Serving's limits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gannet_client.codec import encode_values
from gannet_client.contract import WARMUP_FILE
from gannet_serving.engine import load_model
from gannet_serving.options import ServerOptions
from gannet_serving.status import StatusError


@pytest.fixture(scope="module")
def counting(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = saved_models.write_counting(tmp_path_factory.mktemp("counting") / "1")
    return path


@pytest.fixture
def version(counting: Path) -> Any:
    (counting / WARMUP_FILE).parent.mkdir(exist_ok=True)
    yield counting
    (counting / WARMUP_FILE).unlink(missing_ok=True)


def predict_log(**model_spec: Any) -> Any:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    log = PredictionLog()
    for field, value in model_spec.items():
        setattr(log.predict_log.request.model_spec, field, value)
    encode_values(np.zeros(2, np.int64), log.predict_log.request.inputs["rows"])
    return log


def empty_log(kind: str) -> Any:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    log = PredictionLog()
    getattr(log, kind).SetInParent()
    return log


def write(version: Path, records: list[bytes]) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
        for record in records:
            writer.write(record)


def calls_so_far(version: Path, **options: Any) -> int:
    """How often the model was called while it was loaded."""
    session = load_model(version, ServerOptions(**options))
    signature = session.signatures["serving_default"]
    feeds = {signature.inputs["rows"].name: np.zeros(1, np.int64)}
    [count] = session.run(feeds, [signature.outputs["count"].name])
    session.close()
    return int(count) - 1


@pytest.mark.parametrize(
    ("options", "calls"),
    [({}, 2), ({"num_request_iterations_for_warmup": 3}, 6), ({"enable_model_warmup": False}, 0)],
)
def test_each_record_is_played(options: dict[str, Any], calls: int, version: Path) -> None:
    logs = [predict_log(), predict_log(name="another", signature_name="generate")]
    write(version, [log.SerializeToString() for log in logs])
    assert calls_so_far(version, **options) == calls


def test_a_version_needs_no_records(version: Path) -> None:
    assert calls_so_far(version) == 0
    write(version, [])
    assert calls_so_far(version) == 0


def test_a_thousand_records_are_the_limit(version: Path) -> None:
    record = predict_log().SerializeToString()
    write(version, [record] * 1000)
    assert calls_so_far(version) == 1000
    write(version, [record] * 1001)
    refusal = refusal_of(version)
    assert refusal == (
        f"INVALID_ARGUMENT: Number of warmup records exceeds the maximum (1000) at {version / WARMUP_FILE}"
    )


@pytest.mark.parametrize(
    ("log", "refusal"),
    [
        (
            lambda: predict_log(signature_name="nope"),
            'FAILED_PRECONDITION: Serving signature key "nope" not found.',
        ),
        (lambda: empty_log("session_run_log"), "UNIMPLEMENTED: Unsupported log_type for warmup: 5"),
        (lambda: empty_log("predict_streamed_log"), "UNIMPLEMENTED: Unsupported log_type for warmup: 7"),
    ],
)
def test_a_record_that_fails_fails_the_load(log: Callable[[], Any], refusal: str, version: Path) -> None:
    write(version, [predict_log().SerializeToString(), log().SerializeToString()])
    assert refusal_of(version) == refusal


def test_an_empty_record(version: Path) -> None:
    write(version, [b""])
    assert refusal_of(version) == "UNIMPLEMENTED: Unsupported log_type for warmup: 0"


def test_a_record_that_is_no_message(version: Path) -> None:
    write(version, [b"\xff\xff"])
    path = version / WARMUP_FILE
    assert refusal_of(version) == f"INVALID_ARGUMENT: Failed to parse warmup record: \\xff\\xff from {path}"


def test_a_file_that_is_no_tfrecord(version: Path) -> None:
    (version / WARMUP_FILE).write_bytes(b"junk" * 100)
    assert refusal_of(version) == (
        "DATA_LOSS: corrupted record at 0 (Is this even a TFRecord file?). "
        "Please verify your warmup data is in TFRecord format."
    )


def test_a_file_that_was_cut_off(version: Path) -> None:
    write(version, [predict_log().SerializeToString()])
    path = version / WARMUP_FILE
    path.write_bytes(path.read_bytes()[:-3])
    assert refusal_of(version) == (
        "DATA_LOSS: truncated record at 0' failed with Read less bytes than requested. "
        "Please verify your warmup data is in TFRecord format."
    )


def refusal_of(version: Path) -> str:
    with pytest.raises(StatusError) as caught:
        load_model(version)
    return str(caught.value)
