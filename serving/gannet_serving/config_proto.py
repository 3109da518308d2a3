"""Reads TensorFlow Serving's ModelServerConfig, in text form or from a request."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from gannet_client.errors import UsageError
from gannet_serving.config import PLATFORM, ModelConfig, VersionPolicy, listed
from gannet_serving.status import StatusError, invalid

_PLATFORMS = {0: "", 1: PLATFORM}
"""By the deprecated `model_type`; 0 stands for none, and every other for another platform."""


def read_config_file(path: Path) -> dict[str, ModelConfig]:
    """The configuration in a file.

    Raises:
        UsageError: The file cannot be read or is no ModelServerConfig of models.
    """
    try:
        proto = text_format.Parse(path.read_bytes(), ModelServerConfig())
        return read_config(proto)
    except OSError as error:
        raise UsageError(f"cannot read --model_config_file {path}: {error.strerror}") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise UsageError(f"Invalid protobuf file: '{path}': {' '.join(str(error).split())}") from None
    except StatusError as error:
        raise UsageError(f"{path}: {error.message}") from None


def read_config(proto: Any) -> dict[str, ModelConfig]:
    """The configuration in a ModelServerConfig; one that says nothing is one without models.

    Raises:
        StatusError: It is not made of models, or their list is not consistent.
    """
    if proto.WhichOneof("config") == "custom_model_config":
        raise invalid("ModelServer does not yet support custom model config.")
    return listed((_read_model(model), model.base_path) for model in proto.model_config_list.config)


def _read_model(proto: Any) -> ModelConfig:
    if proto.model_type and proto.model_platform:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            f"ModelServerConfig::model_platform, model name is {proto.name}"
        )
    return ModelConfig(
        name=proto.name,
        base_path=Path(proto.base_path),
        platform=proto.model_platform or _PLATFORMS.get(proto.model_type, "other"),
        policy=_read_policy(proto.model_version_policy),
        labels=dict(proto.version_labels),
        is_logged=proto.HasField("logging_config"),
    )


def _read_policy(proto: Any) -> VersionPolicy:
    match proto.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(most=None)
        case "specific":
            return VersionPolicy(most=None, only=frozenset(proto.specific.versions))
        case _:
            return VersionPolicy(most=max(proto.latest.num_versions, 1))
