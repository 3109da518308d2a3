"""The command line of `tensorflow_model_server`."""

from collections.abc import Mapping
from difflib import get_close_matches

from gannet_client.errors import UsageError
from gannet_serving.production.image import Release, release_of
from gannet_serving.production.settings import ServingSettings

MODELS_CONFIG, BATCHING_CONFIG = "models.config", "batching.config"
MONITORING_CONFIG, SSL_CONFIG = "monitoring.config", "ssl.config"

Value = bool | int | float | str

_SINCE: Mapping[str, tuple[Release, str]] = {
    "enable_grpc_healthcheck_service": ((2, 16), "server.health"),
    "enable_serialization_as_tensor_content": ((2, 19), "server.tensor_content"),
}
"""The first release that is known to have a flag, and the setting that asks for it; all others are older."""

_FLAGS = frozenset(
    (
        *("allow_version_labels_for_unavailable_models", "batching_parameters_file", "enable_batching"),
        *("enable_grpc_healthcheck_service", "enable_model_warmup", "enable_per_model_batching_parameters"),
        *("enable_profiler", "enable_serialization_as_tensor_content", "enable_signature_method_name_check"),
        *("file_system_poll_wait_seconds", "flush_filesystem_caches", "grpc_channel_arguments"),
        *("grpc_max_threads", "grpc_socket_path", "load_retry_interval_micros", "max_num_load_retries"),
        *("mixed_precision", "model_base_path", "model_config_file", "model_config_file_poll_wait_seconds"),
        *("model_name", "monitoring_config_file", "num_load_threads", "num_request_iterations_for_warmup"),
        *("num_tflite_interpreters_per_pool", "num_tflite_pools", "num_unload_threads"),
        *("per_process_gpu_memory_fraction", "platform_config_file", "port", "prefer_tflite_model"),
        *("remove_unused_fields_from_bundle_metagraph", "rest_api_enable_cors_support"),
        *("rest_api_num_threads", "rest_api_port", "rest_api_timeout_in_ms", "saved_model_tags"),
        *("skip_initialize_tpu", "ssl_config_file", "tensorflow_inter_op_parallelism"),
        *("tensorflow_intra_op_parallelism", "tensorflow_session_config_file"),
        *("tensorflow_session_parallelism", "thread_pool_factory_config_file", "use_alts_credentials"),
        *("xla_cpu_compilation_enabled", "xla_gpu_compilation_enabled"),
    )
)

_REFUSED = {
    "model_name": "the models stand in tables [models.NAME]",
    "model_base_path": "the models stand in tables [models.NAME]",
    "enable_per_model_batching_parameters": "the server would ignore the table [batching]",
    "platform_config_file": "the server would ignore warm-up, batching and the threads of TensorFlow",
    "use_alts_credentials": "it excludes the table [tls]",
}
"""Flags by which TensorFlow Serving would silently ignore what the file says elsewhere."""


def arguments(settings: ServingSettings, image: str) -> list[str]:
    """The flags that make a server do what the settings say.

    Args:
        settings: What it is to do.
        image: Whose server it is; one whose tag names no release is taken for the newest.

    Raises:
        UsageError: The server does not know a flag, would ignore it, or has it from a table of the settings.

    >>> settings = ServingSettings(models={"digits": {}}, flags={"enable_profiler": False})
    >>> arguments(settings, settings.image)[-1]
    '--enable_profiler=false'
    """
    written = _written(settings)
    for name in settings.flags:
        _require_known(name)
        if name in written:
            raise UsageError(f"flags.{name}: already follows from a table of its own; set it there")
        if name in _REFUSED:
            raise UsageError(f"flags.{name}: cannot be combined with this file: {_REFUSED[name]}")
        if not str(settings.flags[name]).isprintable():
            raise UsageError(f"flags.{name}: expected one line, received {settings.flags[name]!r}")
    flags = {**written, **settings.flags}
    _require_release(flags, image)
    _require_parallelism(settings.flags)
    return [f"--{name}={_text(value)}" for name, value in flags.items()]


def _written(settings: ServingSettings) -> dict[str, Value]:
    server, config = settings.server, settings.config_dir
    flags: dict[str, Value] = {
        "port": server.port,
        "rest_api_port": server.rest_port or 0,
        "model_config_file": f"{config}/{MODELS_CONFIG}",
        "model_config_file_poll_wait_seconds": server.config_poll_seconds,
        "file_system_poll_wait_seconds": server.poll_seconds,
        "grpc_max_threads": server.max_threads,
        "num_load_threads": server.load_threads,
        "max_num_load_retries": server.load_retries,
        "load_retry_interval_micros": round(server.load_retry_seconds * 1e6),
        "enable_model_warmup": server.warm_up,
    }
    if server.health:
        flags["enable_grpc_healthcheck_service"] = True
    if server.tensor_content:
        flags["enable_serialization_as_tensor_content"] = True
    if any(model.labels for model in settings.models.values()):
        flags["allow_version_labels_for_unavailable_models"] = True  # otherwise it could never start
    if settings.batching:
        flags["enable_batching"] = True
        flags["batching_parameters_file"] = f"{config}/{BATCHING_CONFIG}"
    if settings.monitoring.enabled:
        flags["monitoring_config_file"] = f"{config}/{MONITORING_CONFIG}"
    if settings.tls:
        flags["ssl_config_file"] = f"{config}/{SSL_CONFIG}"
    return flags


def _require_known(name: str) -> None:
    if name not in _FLAGS:
        [nearest] = get_close_matches(name, _FLAGS, 1, cutoff=0)
        raise UsageError(
            f"flags.{name}: TensorFlow Serving has no such flag, and would start without it; the nearest is "
            f"{nearest}"
        )


def _require_release(flags: Mapping[str, Value], image: str) -> None:
    release = release_of(image)
    for name, ((major, minor), setting) in _SINCE.items():
        if name in flags and release and release < (major, minor):
            raise UsageError(
                f"{image} does not know --{name}, which TensorFlow Serving has since {major}.{minor}: take a "
                f"newer image or set {setting} = false"
            )


def _require_parallelism(flags: Mapping[str, Value]) -> None:
    names = [f"tensorflow_{kind}_parallelism" for kind in ("session", "intra_op", "inter_op")]
    if all(flags.get(name) for name in names):
        raise UsageError(f"flags: the server refuses {', '.join(names)} together; leave out the first")


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
