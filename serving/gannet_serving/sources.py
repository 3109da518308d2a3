"""Where a server's configuration comes from, and how often it is read again."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gannet_serving.config import Models, models
from gannet_serving.versions import find_models


class Source(Protocol):
    """Tells which models there are to be."""

    @property
    def every(self) -> float:
        """Seconds between two readings; 0 for a single one."""

    def read(self, current: Models) -> Models:
        """The configuration to have in place of `current`.

        Raises:
            OSError: It cannot be told now.
            UsageError: It is told wrongly.
        """


@dataclass(frozen=True)
class Fixed:
    """A configuration that stands once and for all."""

    models: Models
    every: float = 0

    def read(self, current: Models) -> Models:
        """The configuration."""
        return self.models


@dataclass(frozen=True)
class ConfigFile:
    """A ModelServerConfig in text form; each reading goes before whatever was configured meanwhile."""

    path: Path
    every: float = 0

    def read(self, current: Models) -> Models:
        """What the file says now."""
        from gannet_serving.config_proto import read_config_file

        return read_config_file(self.path)


@dataclass(frozen=True)
class Directory:
    """A directory of models: each subdirectory with versions is one as soon as it is seen.

    One that vanishes stays in the configuration, and one that a request took out comes back only when its
    directory does.
    """

    path: Path
    every: float = 1.0
    _seen: set[str] = field(default_factory=set)

    def read(self, current: Models) -> Models:
        """The current configuration and the models that are new in the directory."""
        found = find_models(self.path)
        new = {name: path for name, path in found.items() if name not in self._seen}
        self._seen.intersection_update(found)
        self._seen.update(new)
        return {**models(new), **current}
