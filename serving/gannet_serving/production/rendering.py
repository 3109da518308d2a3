"""The files of a TensorFlow Serving, from its settings."""

import re
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from gannet_client.errors import UsageError
from gannet_serving.production.arguments import (
    BATCHING_CONFIG,
    MODELS_CONFIG,
    MONITORING_CONFIG,
    SSL_CONFIG,
    arguments,
)
from gannet_serving.production.image import DEFAULT_IMAGE
from gannet_serving.production.settings import Latest, Model, ServingSettings, Tls
from gannet_serving.text_protos import new_message
from gannet_serving.tls import require_usable

ARGUMENTS, ENVIRONMENT = "arguments.txt", "compose.env"
FILES = (MODELS_CONFIG, BATCHING_CONFIG, MONITORING_CONFIG, SSL_CONFIG, ARGUMENTS, ENVIRONMENT)
"""All that there may be."""
NOBODY = 10001
"""Who runs a server in a container for root: the user of the project's own images, and the group."""
_MAX_PEM_BYTES = 1 << 20
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")


def render(settings: ServingSettings, image: str, folder: Path, user: str = "") -> dict[str, str]:
    """The text of every file, by name.

    Args:
        settings: What the server is to do.
        image: Whose server it is.
        folder: To which the files of TLS are relative.
        user: Who is to run the server, as UID:GID, where there is a key that nobody else may read.

    Raises:
        UsageError: The server does not know a flag or would ignore it, TLS cannot work, or the image's name
            cannot be one.

    >>> files = render(ServingSettings(models={"digits": {"labels": {"stable": 3}}}), "gannet", Path())
    >>> print(files["models.config"])
    model_config_list {
      config {
        name: "digits"
        base_path: "/models/digits"
        model_platform: "tensorflow"
        version_labels {
          key: "stable"
          value: 3
        }
      }
    }
    <BLANKLINE>
    """
    files = {
        MODELS_CONFIG: _models_config(settings),
        ARGUMENTS: _lines(arguments(settings, image)),
        ENVIRONMENT: _environment(image, user if settings.tls else ""),
    }
    if settings.batching:
        files[BATCHING_CONFIG] = _text(_batching_config(settings))
    if settings.monitoring.enabled:
        config = new_message("MonitoringConfig")
        config.prometheus_config.enable = True
        config.prometheus_config.path = settings.monitoring.path
        files[MONITORING_CONFIG] = _text(config)
    if settings.tls:
        files[SSL_CONFIG] = _text(_ssl_config(settings.tls, folder))
    return files


def _environment(image: str, user: str) -> str:
    """For `docker compose --env-file`: the image for which the flags are, and who can read the key."""
    if not _IMAGE.fullmatch(image):
        raise UsageError(f"image: expected a name such as {DEFAULT_IMAGE}, received {image!r}")
    return f"GANNET_SERVING_IMAGE={image}\n" + (f"GANNET_USER={user}\n" if user else "")


def _models_config(settings: ServingSettings) -> str:
    config = ModelServerConfig()
    for name, model in settings.models.items():
        entry = config.model_config_list.config.add(name=name, model_platform="tensorflow")
        entry.base_path = _base_path(settings, name, model)
        _set_policy(entry.model_version_policy, model)
        entry.version_labels.update(model.labels)
    return _text(config)


def _base_path(settings: ServingSettings, name: str, model: Model) -> str:
    path = model.path or name
    return path if "://" in path else f"{settings.mounted_at.rstrip('/')}/{path}"


def _set_policy(policy: Any, model: Model) -> None:
    match model.versions:
        case "latest":
            pass
        case "all":
            policy.all.SetInParent()
        case Latest(latest=count):
            policy.latest.num_versions = count
        case numbers:
            policy.specific.versions.extend(numbers)


def _batching_config(settings: ServingSettings) -> Any:
    batching, config = settings.batching, new_message("BatchingParameters")
    assert batching is not None
    config.max_batch_size.value = batching.max_batch_size
    config.batch_timeout_micros.value = batching.timeout_micros
    config.max_enqueued_batches.value = batching.max_enqueued_batches
    if batching.threads is not None:
        config.num_batch_threads.value = batching.threads
    config.allowed_batch_sizes.extend(batching.sizes)
    return config


def _ssl_config(tls: Tls, folder: Path) -> Any:
    config = new_message("SSLConfig")
    config.server_key = _pem(folder / tls.key, "key")
    config.server_cert = _pem(folder / tls.certificate, "certificate")
    if tls.client_ca:
        config.custom_ca = _pem(folder / tls.client_ca, "client_ca")
        config.client_verify = True
    require_usable(config, "tls")
    return config


def _pem(path: Path, setting: str) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_PEM_BYTES).decode("ascii")
    except OSError as error:
        raise UsageError(f"tls.{setting}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"tls.{setting}: expected {path} in PEM form") from None


def _text(message: Any) -> str:
    return str(text_format.MessageToString(message, as_utf8=True))


def _lines(flags: list[str]) -> str:
    return "".join(f"{flag}\n" for flag in flags)
