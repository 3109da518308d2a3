"""One model: keeps what is in memory in step with what lies on disk."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from gannet_serving.processor import advice, read_cpuinfo
from gannet_serving.servables import Servable, Servables
from gannet_serving.status import StatusError
from gannet_serving.versions import find_versions, fingerprint

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession

Loader = Callable[[Path], "ModelSession"]
_log = logging.getLogger(__name__)


class Model:
    """Serves the highest version below a directory that can be loaded.

    A new version takes over once it is AVAILABLE; the one before it is freed after its last request. A
    version that fails to load leaves the next lower one in charge, and is tried again when its files change:
    TensorFlow Serving instead ends when that happens at start, and later never tries again.

    Attributes:
        name: The name that requests use.
        base_path: The directory of the versions.
        servables: The versions in memory.
    """

    def __init__(self, name: str, base_path: Path, load: Loader) -> None:
        self.name = name
        self.base_path = base_path
        self.servables = Servables(name)
        self._load = load

    def sync(self) -> bool:
        """Looks at the directory once, then loads and unloads what that asks for. For one thread at a time.

        Returns:
            Whether the directory has any version at all; where it has none, nothing is served any more.

        Raises:
            OSError: The directory is missing or cannot be read; what was served is served on.
        """
        found = find_versions(self.base_path)
        if not found:
            self.servables.retire_all_but(None)
        for number in sorted(found, reverse=True):
            if self.servables.is_available(number) or self._try_load(number, found[number]):
                self.servables.retire_all_but(number)
                break
        return bool(found)

    def _try_load(self, number: int, path: Path) -> bool:
        """Returns whether the version is now AVAILABLE."""
        files = fingerprint(path)
        if self.servables.has_failed_with(number, files):
            return False
        servable = self.servables.begin(number, files)
        try:
            self._load_into(servable, path)
        except Exception as error:  # whatever it is, it concerns this version alone
            failure = _as_failure(error)
            self.servables.failed(servable, failure)
            _log.error("model %s version %d: failed: %s", self.name, number, " ".join(str(failure).split()))
            return False
        return True

    def _load_into(self, servable: Servable, path: Path) -> None:
        _log.info("model %s version %d: loading from %s", self.name, servable.number, path)
        begin = time.monotonic()
        self.servables.loading(servable)
        self.servables.available(servable, self._load(path))
        seconds = time.monotonic() - begin
        _log.info("model %s version %d: AVAILABLE in %.1f s", self.name, servable.number, seconds)
        if slow := advice(path, read_cpuinfo()):
            _log.warning("model %s version %d: %s", self.name, servable.number, slow)


def _as_failure(error: Exception) -> StatusError:
    """What GetModelStatus tells. A new object: the traceback of `error` keeps the broken graph in memory."""
    if isinstance(error, StatusError):
        return StatusError(error.code, error.message)
    return StatusError(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")
