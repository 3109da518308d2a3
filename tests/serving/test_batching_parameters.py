"""BatchingParameters: read from text, and refused in TensorFlow Serving's words."""

from pathlib import Path

import pytest

from gannet_client.errors import UsageError
from gannet_serving.batching.batcher import Batcher
from gannet_serving.batching.parameters import BatchingParameters, read_parameters
from gannet_serving.options import ServerOptions

EVERY_FIELD = """
max_batch_size { value: 64 }
batch_timeout_micros { value: 700 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 3 }
thread_pool_name { value: "pool" }
allowed_batch_sizes: 1
allowed_batch_sizes: 8
allowed_batch_sizes: 32
pad_variable_length_inputs: true
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 32 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "batching"


def test_every_field_is_read(file: Path) -> None:
    file.write_text(EVERY_FIELD)
    assert read_parameters(file) == BatchingParameters(
        max_batch_size=64,
        batch_timeout_micros=700,
        max_enqueued_batches=2,
        num_batch_threads=3,
        thread_pool_name="pool",
        allowed_batch_sizes=(1, 8, 32),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=32,
    )


def test_an_empty_file_means_the_defaults(file: Path) -> None:
    file.touch()
    assert read_parameters(file) == BatchingParameters()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 4", "Invalid protobuf file: '{file}': 1:17 : "),
        ("max_batch_sise { value: 4 }", "Invalid protobuf file: '{file}': 1:1 : Message type"),
        ("num_batch_threads { value: 0 }", "{file}: num_batch_threads must be positive; was 0"),
        ("max_batch_size { value: 0 }", "{file}: input_batch_size_limit must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "{file}: batch_timeout_micros must be non-negative; was -1"),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: [1, 8]",
            "{file}: Last entry in allowed_batch_sizes must match max_batch_size; "
            "last entry was 8; expected 4",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: [2, 2, 4]",
            "{file}: allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: [1, 4] max_execution_batch_size { value: 2 } "
            "enable_large_batch_splitting { value: true }",
            "{file}: Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; "
            "last entry was 4; expected 2",
        ),
        (
            "max_batch_size { value: 4 } max_execution_batch_size { value: 8 } "
            "enable_large_batch_splitting { value: true }",
            "{file}: When enable_large_batch_splitting is true, input_batch_size_limit must be greater than "
            "or equal to max_execution_batch_size",
        ),
        (
            "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }",
            "{file}: max_enqueued_batches must be positive; was 0",
        ),
    ],
)
def test_what_cannot_be_ends_the_start(text: str, message: str, file: Path) -> None:
    file.write_text(text)
    options = ServerOptions(enable_batching=True, batching_parameters_file=str(file))
    with pytest.raises(UsageError) as caught:
        Batcher(options)
    assert str(caught.value).startswith(f"--batching_parameters_file: {message.format(file=file)}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    options = ServerOptions(enable_batching=True, batching_parameters_file=str(tmp_path))
    with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
        Batcher(options)
