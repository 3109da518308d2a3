"""Follows one model in a thread, so that no other waits for it."""

import logging
import time
from collections.abc import Callable
from threading import Event

from gannet_serving.config import ModelConfig
from gannet_serving.loads import Loads
from gannet_serving.model import Model
from gannet_serving.servables import Servables, Work

_log = logging.getLogger(__name__)


class Follower:
    """Looks at a model's directory from time to time, and acts whenever something has changed.

    Attributes:
        servables: The model's versions in memory.
        config: The configuration that is followed; None for a model that was taken out.
    """

    def __init__(
        self, name: str, loads: Loads, *, every: float, unload: Callable[[Work], None], changed: Work
    ) -> None:
        """Prepares; `run` does the work.

        Args:
            name: The model's name.
            loads: How versions are loaded.
            every: Seconds between two looks; 0 for a single one at each configuration.
            unload: Runs the work that frees a version.
            changed: Called whenever something has changed that others may wait for.
        """
        self.config: ModelConfig | None = None
        self.servables = Servables(name, unload=unload, changed=self._notice)
        self._model = Model(self.servables, loads)
        self._name = name
        self._every = every
        self._changed = changed
        self._wake = Event()
        self._next_look = 0.0
        self._is_hopeless = False
        self._complaint = Complaint()

    def configure(self, config: ModelConfig | None) -> None:
        """Sets what to follow from now on; None: nothing, and everything is unloaded."""
        if config != self.config:
            self.config, self._is_hopeless = config, False
            self._model.configure(config)
            self._notice()

    def is_settled(self) -> bool:
        """Whether a wanted version is AVAILABLE, each one has failed for good, or none can ever come."""
        return self._is_hopeless or self._model.is_settled()

    def run(self, stopped: Event) -> None:
        """Follows until `stopped` is set and the model is woken."""
        while not stopped.is_set():
            self._wake.clear()
            try:
                if self._is_due():
                    self._look()
                self._model.act()
            except Exception as error:  # a bug, which is not to end this thread nor to hold up the start
                self._complaint.about(f"model {self._name}: cannot be followed: {error!r}", error)
                self._is_hopeless = True
            self._changed()
            self._wake.wait(self._seconds_to_next_look())

    def wake(self) -> None:
        """Makes `run` go round."""
        self._wake.set()

    def _notice(self) -> None:
        self._wake.set()
        self._changed()

    def _is_due(self) -> bool:
        return self._model.has_new_config or self._seconds_to_next_look() == 0

    def _seconds_to_next_look(self) -> float | None:
        """None stands for ever."""
        is_looking = self._every and self._model.is_followed
        return max(0.0, self._next_look - time.monotonic()) if is_looking else None

    def _look(self) -> None:
        config = self.config
        self._next_look = time.monotonic() + self._every
        try:
            if self._model.look() or config is None:
                self._complaint.end()
                return
            self._complaint.about(no_versions(config))
        except OSError as error:
            self._complaint.about(f"model {self._name}: cannot read its base path: {error}")
        self._is_hopeless = not self._every


class Complaint:
    """Logs a problem that each look finds again once, until it is another one or has ended."""

    def __init__(self) -> None:
        self._problem: str | None = None

    def about(self, problem: str, bug: Exception | None = None) -> None:
        """There is this problem now."""
        if problem != self._problem:
            _log.warning("%s", problem, exc_info=bug)
        self._problem = problem

    def end(self) -> None:
        """There is no problem now."""
        self._problem = None


def no_versions(config: ModelConfig) -> str:
    """What to tell about a base path without any wanted version."""
    return (
        f"model {config.name}: no versions below {config.base_path}; a version is a directory "
        f"with a number for a name, like {config.base_path / '1'}"
    )
