"""TensorFlow Serving's BatchingParameters: how requests are merged."""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from gannet_serving.status import StatusError, invalid
from gannet_serving.text_protos import new_message

PARAMETERS_FILE = "batching_params.pbtxt"
"""In a version's directory, where each model has parameters of its own."""
_THREAD_POOL = "model_server_batch_threads"


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """How the requests for one set of inputs and outputs of one version are merged.

    Attributes:
        max_batch_size: The most rows of a request, and, unless large ones are split, of a batch.
        batch_timeout_micros: How long the first request of a batch waits for others while a thread is free.
        max_enqueued_batches: How many batches wait; a request that would need another one is refused.
        num_batch_threads: How many batches run at once, of all models together.
        thread_pool_name: What the names of these threads begin with.
        allowed_batch_sizes: The sizes to which batches are padded, rising; none: they are not.
        pad_variable_length_inputs: Whether inputs of different shapes are padded, so that they can be merged.
        enable_large_batch_splitting: Whether a request may be spread over several batches.
        max_execution_batch_size: The most rows of a batch where large requests are split.

    Raises:
        StatusError: Two of them contradict each other, or one is out of its range.

    >>> BatchingParameters(max_batch_size=4).execution_size
    4
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    thread_pool_name: str = _THREAD_POOL
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    def __post_init__(self) -> None:
        if self.num_batch_threads < 1:
            raise invalid(f"num_batch_threads must be positive; was {self.num_batch_threads}")
        if self.max_batch_size < 1:
            raise invalid(f"input_batch_size_limit must be positive; was {self.max_batch_size}")
        if self.batch_timeout_micros < 0:
            raise invalid(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        if self.max_enqueued_batches < self.enable_large_batch_splitting:
            raise invalid(f"max_enqueued_batches must be positive; was {self.max_enqueued_batches}")
        if not 1 <= self.execution_size <= self.max_batch_size:
            raise invalid(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or "
                f"equal to max_execution_batch_size.{self.max_batch_size}{self.execution_size}"
            )
        if self.allowed_batch_sizes:
            self._require_sizes()

    @property
    def execution_size(self) -> int:
        """The most rows of a batch."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size

    def padded(self, rows: int) -> int:
        """The size to which a batch of `rows` rows is brought.

        >>> BatchingParameters(max_batch_size=8, allowed_batch_sizes=(1, 8)).padded(3)
        8
        """
        return next((size for size in self.allowed_batch_sizes if size >= rows > 0), rows)

    def _require_sizes(self) -> None:
        sizes = self.allowed_batch_sizes
        if sizes[0] < 1 or any(low >= high for low, high in pairwise(sizes)):
            raise invalid("allowed_batch_sizes entries must be monotonically increasing")
        if sizes[-1] != self.execution_size:
            splits = self.enable_large_batch_splitting
            raise invalid(
                "Last entry in allowed_batch_sizes must "
                f"{'be equal to max_execution_batch_size' if splits else 'match max_batch_size'}; "
                f"last entry was {sizes[-1]}; expected {self.execution_size}"
            )


def read_parameters(path: Path) -> BatchingParameters:
    """The parameters in a file, in text form.

    Raises:
        StatusError: The file cannot be read or is no BatchingParameters, or these are refused.
    """
    try:
        proto = text_format.Parse(path.read_bytes(), new_message("BatchingParameters"))
    except OSError as error:
        raise invalid(f"cannot read {path}: {error.strerror}") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise invalid(f"Invalid protobuf file: '{path}': {' '.join(str(error).split())}") from None
    given = {field.name: _value(field, value) for field, value in proto.ListFields()}
    try:
        return BatchingParameters(**given)
    except StatusError as error:
        raise invalid(f"{path}: {error.message}") from None


def _value(field: Any, value: Any) -> Any:
    if field.message_type:
        return value.value
    return value if isinstance(value, bool) else tuple(value)
