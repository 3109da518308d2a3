"""The command line of `tensorflow_model_server`."""

from collections.abc import Mapping

from gannet_client.errors import UsageError
from gannet_serving.production.flags import Value, require_sensible
from gannet_serving.production.image import Release, release_of
from gannet_serving.production.settings import ServingSettings

MODELS_CONFIG, BATCHING_CONFIG = "models.config", "batching.config"
MONITORING_CONFIG, SSL_CONFIG = "monitoring.config", "ssl.config"

_OLDEST: Release = (2, 16)
"""The first release that has all flags but those of `_SINCE`; which of them older ones have is not known."""

_SINCE: Mapping[str, tuple[Release, str]] = {
    "enable_serialization_as_tensor_content": ((2, 19), "server.tensor_content"),
}
"""The first release that has a flag, and the setting that asks for it."""


def arguments(settings: ServingSettings, image: str) -> list[str]:
    """The flags that make a server do what the settings say.

    Args:
        settings: What it is to do.
        image: Whose server it is; one whose tag names no release is taken for the newest.

    Raises:
        UsageError: The server does not know a flag, would ignore it, or the file contradicts itself.

    >>> settings = ServingSettings(models={"digits": {}}, flags={"enable_profiler": False})
    >>> arguments(settings, settings.image)[-1]
    '--enable_profiler=false'
    """
    written = _written(settings)
    require_sensible(settings.flags, written)
    flags = {**written, **settings.flags}
    _require_release(flags, image)
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


def _require_release(flags: Mapping[str, Value], image: str) -> None:
    release = release_of(image)
    if release and release < _OLDEST:
        raise UsageError(
            f"{image}: expected {_OLDEST[0]}.{_OLDEST[1]} or newer: the flags of older ones are not known"
        )
    for name, ((major, minor), setting) in _SINCE.items():
        if name in flags and release and release < (major, minor):
            raise UsageError(
                f"{image} does not know --{name}, which TensorFlow Serving has since {major}.{minor}: take a "
                f"newer image or set {setting} = false"
            )


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
