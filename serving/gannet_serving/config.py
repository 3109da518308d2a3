"""Which models a server serves, in which versions and under which labels: as data, with its rules."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from gannet_serving.status import StatusError, invalid
from gannet_serving.versions import find_versions

PLATFORM = "tensorflow"
_ABSOLUTE = re.compile(r"/|[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions on disk are wanted: by default the latest one.

    Attributes:
        most: How many at most; None for no limit.
        only: The numbers that may be; None for all.

    >>> VersionPolicy(most=2).wanted([1, 5, 3]), VersionPolicy(None, frozenset([1, 9])).wanted([1, 5, 3])
    ([5, 3], [1])
    """

    most: int | None = 1
    only: frozenset[int] | None = None

    def wanted(self, found: Iterable[int], broken: Collection[int] = ()) -> list[int]:
        """The wanted ones of the versions `found`, the highest first.

        A version in `broken` does not count towards `most`: a lower one stands in for it.

        >>> VersionPolicy().wanted([1, 2, 3], broken=[3])
        [3, 2]
        """
        candidates = [n for n in sorted(found, reverse=True) if self.only is None or n in self.only]
        wanted: list[int] = []
        for number in candidates:
            if self.most is not None and sum(n not in broken for n in wanted) >= self.most:
                break
            wanted.append(number)
        return wanted


@dataclass(frozen=True)
class ModelConfig:
    """One model of a configuration.

    Attributes:
        name: The name that requests use.
        base_path: The directory of the versions.
        platform: What runs the model; empty where the configuration does not tell.
        policy: Which versions are wanted.
        labels: Versions by their labels.
        is_logged: Whether requests are to be logged, of which this server knows no way.
    """

    name: str
    base_path: Path
    platform: str = PLATFORM
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)
    is_logged: bool = False


Models = Mapping[str, ModelConfig]
"""A whole configuration: every model by its name."""


def models(paths: Mapping[str, Path]) -> dict[str, ModelConfig]:
    """The configuration that serves the latest version below each base path."""
    return {name: ModelConfig(name, path) for name, path in paths.items()}


def listed(configs: Iterable[tuple[ModelConfig, str]]) -> dict[str, ModelConfig]:
    """A configuration from a list of models, each with its base path as it was written.

    Raises:
        StatusError: Two models have one name, or a base path is not absolute.
    """
    by_name: dict[str, ModelConfig] = {}
    pairs = list(configs)
    for config, _ in pairs:
        if config.name in by_name:
            raise invalid(f"Illegal to list model {config.name} multiple times in config list")
        by_name[config.name] = config
    for config, written in pairs:
        if not _ABSOLUTE.match(written):
            raise invalid(
                f"Expected model {config.name} to have an absolute path or URI; got base_path()={written}"
            )
    return by_name


def require_same_platforms(old: Models, new: Models) -> None:
    """Checks the models that are in both configurations.

    Raises:
        StatusError: One changes its platform.
    """
    for name in old.keys() & new.keys():
        before, after = old[name].platform, _platform(new[name])
        if before != after:
            raise invalid(
                f"Illegal to change a model's platform. For model {name} platform was {before} "
                f"and new platform requested is {after}"
            )


def require_servable(new: Models) -> None:
    """Checks what a configuration asks of this server.

    Raises:
        StatusError: A model names no platform or one that is not TensorFlow, or asks for logs.
    """
    for config in new.values():
        platform = _platform(config)
        if platform != PLATFORM:
            raise invalid(f"Model {config.name} requests unsupported platform {platform}")
    if any(config.is_logged for config in new.values()):
        raise invalid("No request-logger-creator provided.")


def require_versions(new: Models, old: Models) -> None:
    """Looks at each base path that is new: TensorFlow Serving would wait for a version for ever.

    Raises:
        StatusError: One is missing, or has no version that is wanted.
    """
    for name, config in new.items():
        if name in old and old[name].base_path == config.base_path:
            continue
        try:
            found = find_versions(config.base_path)
        except OSError as error:
            raise StatusError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"Could not find base path {config.base_path} for servable {name}: {error.strerror}; "
                "the configuration in force stays",
            ) from None
        if not config.policy.wanted(found):
            raise StatusError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"No versions of servable {name} found under base path {config.base_path}. "
                "Did you forget to name your leaf directory as a number (eg. '/1/')? "
                "The configuration in force stays",
            )


def checked_labels(
    new: Models, old: Models, available: Collection[tuple[str, int]], *, may_wait: bool
) -> dict[tuple[str, str], int]:
    """The labels of a configuration: versions by model and label.

    Args:
        new: The configuration.
        old: The one before it.
        available: Every AVAILABLE version, as model and number.
        may_wait: Whether a label that names no other version so far may name one that is not AVAILABLE.

    Raises:
        StatusError: A label names a version that is not AVAILABLE.
    """
    labels: dict[tuple[str, str], int] = {}
    for name, config in new.items():
        bound = old[name].labels if name in old else {}
        for label, number in sorted(config.labels.items()):
            is_excused = may_wait and bound.get(label, number) == number
            if (name, number) not in available and not is_excused:
                raise StatusError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {number} of model {name}, "
                    "which is not currently available for inference",
                )
            labels[name, label] = number
    return labels


def _platform(config: ModelConfig) -> str:
    if not config.platform:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {config.name}"
        )
    return config.platform
