"""Everything that a server can be told, as one typed object; the names are TensorFlow Serving's flags."""

import os
from dataclasses import dataclass, field, fields
from typing import Any

from gannet_client.contract import GRPC_PORT, LOOPBACK
from gannet_client.errors import UsageError

_THREADS = 4 * (os.cpu_count() or 1)
_MANY = 2**31 - 1


def _flag(default: Any, text: str, *, bounds: tuple[int, int] | None = None) -> Any:
    return field(default=default, metadata={"help": text, "bounds": bounds, "flag": default})


def _count(default: int, text: str, *, lowest: int = 0, highest: int = _MANY) -> Any:
    return _flag(default, text, bounds=(lowest, highest))


def _port(default: int | None, text: str) -> Any:
    return field(default=default, metadata={"help": text, "bounds": (0, 65535), "flag": default or 0})


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What a server does; each field is a flag of `gannet-model-server`, and its help stands beside it.

    Raises:
        UsageError: Two options contradict each other, or a number is out of its range.

    >>> ServerOptions(port=0).max_num_load_retries
    5
    """

    # Of a port None means that there is none, 0 any that is free: the command line maps its 0 to None.
    port: int | None = _port(GRPC_PORT, "TCP port for gRPC; 0 for none, then with --grpc_socket_path.")
    host: str = _flag(LOOPBACK, "Address of the interface to listen on.")
    grpc_socket_path: str = _flag("", "UNIX socket for gRPC, besides the port.")
    grpc_channel_arguments: str = _flag("", "Arguments for the gRPC server: KEY=VALUE,KEY=VALUE.")
    grpc_max_threads: int = _count(
        _THREADS, "How many calls are computed at once; more are refused.", lowest=1
    )
    rest_api_port: int | None = _port(None, "TCP port for REST and metrics; 0 for none.")
    rest_api_num_threads: int = _count(
        _THREADS, "How many REST requests are computed at once; more are refused.", lowest=1
    )
    rest_api_timeout_in_ms: int = _count(30_000, "How long a REST request may take.", lowest=1)

    model_name: str = _flag("default", "The name that requests use for the model of --model_base_path.")
    model_base_path: str = _flag("", "The directory whose numbered subdirectories are the model's versions.")
    model_config_file: str = _flag(
        "", "Several models: a ModelServerConfig in text form; goes before the two above."
    )
    model_config_file_poll_wait_seconds: int = _count(
        0, "Seconds between two readings of that file; 0: read once."
    )
    file_system_poll_wait_seconds: float = _flag(1, "Seconds between two looks for versions; 0: look once.")
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "Let a new label name a version that is not loaded yet."
    )

    num_load_threads: int = _count(0, f"How many versions load at once; 0: {_THREADS} here.")
    num_unload_threads: int = _count(0, "How many versions are unloaded at once; 0: one.")
    max_num_load_retries: int = _count(5, "How often a version is tried again that failed to load.")
    load_retry_interval_micros: int = _count(
        60_000_000, "Microseconds between two such tries.", highest=2**63 - 1
    )
    saved_model_tags: str = _flag(
        "serve", "Tags of the graph to load from a SavedModel, separated by commas."
    )
    enable_model_warmup: bool = _flag(True, "Play a version's warm-up records before it is AVAILABLE.")
    num_request_iterations_for_warmup: int = _count(1, "How often each warm-up record is played.")

    tensorflow_session_parallelism: int = _count(0, "Threads within and between ops; 0: TensorFlow decides.")
    tensorflow_intra_op_parallelism: int = _count(0, "Threads within an op; 0: TensorFlow decides.")
    tensorflow_inter_op_parallelism: int = _count(0, "Threads between ops; 0: TensorFlow decides.")

    enable_signature_method_name_check: bool = _flag(
        False, "Let Predict refuse signatures whose method is none of predict, classify, regress."
    )
    enable_grpc_healthcheck_service: bool = _flag(False, "Answer grpc.health.v1.")
    enable_serialization_as_tensor_content: bool = _flag(
        False, "Answer tensors as bytes, not as lists of numbers."
    )

    enable_batching: bool = _flag(False, "Merge requests.")
    batching_parameters_file: str = _flag("", "How to merge them: BatchingParameters in text form.")
    enable_per_model_batching_parameters: bool = _flag(False, "Look for those in each version's directory.")
    monitoring_config_file: str = _flag("", "Metrics for Prometheus: a MonitoringConfig in text form.")
    ssl_config_file: str = _flag("", "TLS for gRPC: an SSLConfig in text form.")
    log_format: str = _flag("text", "Form of the log on stderr: text or json.")
    access_log: bool = _flag(False, "Log a line for each request.")

    def __post_init__(self) -> None:
        """Refuses what TensorFlow Serving refuses, and what would make it wait for ever."""
        self._require_an_address()
        self._require_ranges()
        if self.log_format not in ("text", "json"):
            raise UsageError(f"--log_format: expected text or json, received {self.log_format}")
        _parse_channel_arguments(self.grpc_channel_arguments)
        if self.batching_parameters_file and not self.enable_batching:
            raise UsageError(
                "server_options.batching_parameters_file is set without setting "
                "server_options.enable_batching to true."
            )
        if self.enable_per_model_batching_parameters and not self.enable_batching:
            raise UsageError(
                "server_options.enable_per_model_batching_parameters is set without setting "
                "server_options.enable_batching to true."
            )
        if (
            self.tensorflow_session_parallelism
            and self.tensorflow_intra_op_parallelism
            and self.tensorflow_inter_op_parallelism
        ):
            raise UsageError(
                "Either configure server_options.tensorflow_session_parallelism or "
                "(server_options.tensorflow_intra_op_parallelism, "
                "server_options.tensorflow_inter_op_parallelism) separately. You cannot configure all."
            )

    @property
    def tags(self) -> list[str]:
        """`saved_model_tags` one by one."""
        return self.saved_model_tags.split(",")

    @property
    def load_threads(self) -> int:
        """How many versions load at once."""
        return self.num_load_threads or _THREADS

    @property
    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """`grpc_channel_arguments` as gRPC takes them: a value that is a 32-bit number as one.

        >>> ServerOptions(grpc_channel_arguments="grpc.max_connection_age_ms=5,a=b").channel_arguments
        [('grpc.max_connection_age_ms', 5), ('a', 'b')]
        """
        return _parse_channel_arguments(self.grpc_channel_arguments)

    def _require_an_address(self) -> None:
        if self.port is None and not self.grpc_socket_path:
            raise UsageError(
                "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
            )
        if self.rest_api_port and self.rest_api_port == self.port:
            raise UsageError(f"--rest_api_port cannot be same as --port; both are {self.port}")

    def _require_ranges(self) -> None:
        for option in fields(self):
            value, bounds = getattr(self, option.name), option.metadata["bounds"]
            if bounds and value is not None and not bounds[0] <= value <= bounds[1]:
                raise UsageError(
                    f"--{option.name}: expected a number from {bounds[0]} to {bounds[1]}, received {value}"
                )
        if self.file_system_poll_wait_seconds < 0:
            raise UsageError(
                "--file_system_poll_wait_seconds: expected seconds, or 0 to look once, received "
                f"{self.file_system_poll_wait_seconds}: with it no version would ever be found"
            )


def _parse_channel_arguments(text: str) -> list[tuple[str, int | str]]:
    entries = [entry.partition("=") for entry in text.split(",") if text]
    for key, equals, _ in entries:
        if not (key and equals):
            raise UsageError(f"--grpc_channel_arguments: expected KEY=VALUE,KEY=VALUE, received {text!r}")
    return [(key, _as_number(value)) for key, _, value in entries]


def _as_number(text: str) -> int | str:
    try:
        number = int(text)
    except ValueError:
        return text
    return number if -(2**31) <= number < 2**31 else text
