"""All models of a server, each followed by a thread of its own so that none waits for another."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from gannet_serving.engine import load_model
from gannet_serving.model import Loader, Model
from gannet_serving.servables import State, servable_not_found
from gannet_serving.status import StatusError

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession

Source = Callable[[], Mapping[str, Path]]
"""Tells which models there are: their names and base paths. Raises OSError when it cannot tell."""

_log = logging.getLogger(__name__)


class ModelManager:
    """Keeps every model of `source` in step with its directory, and finds models and versions for requests.

    Models that `source` names later are added; one that it no longer names stays.
    """

    def __init__(self, source: Source, *, load: Loader = load_model, poll_seconds: float = 1.0) -> None:
        """Prepares; `start` does the work.

        Args:
            source: Tells which models there are.
            load: Turns a version's directory into a session.
            poll_seconds: Time between two looks at each directory.
        """
        self._source = source
        self._load = load
        self._poll_seconds = poll_seconds
        self._models: dict[str, Model] = {}
        self._lock = Lock()
        self._unsettled: set[str] = set()
        self._settled = Event()
        self._stopping = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begins to follow the directories; returns at once."""
        self._spawn("models", self._add_models)

    def wait_until_settled(self, timeout: float | None = None) -> bool:
        """Waits until each model named at first has versions and each was loaded or has failed.

        Returns:
            Whether that is so; False when `timeout` seconds have passed before.
        """
        return self._settled.wait(timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """Stops following and unloads everything. A load that is under way cannot be interrupted.

        Returns:
            Whether all has ended: no load runs after `timeout` seconds, and no request at all.
        """
        self._stopping.set()
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:  # grows no more once its first, which adds the others, has ended
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            return False
        for model in self._models.values():
            model.servables.retire_all_but(None)
        return all(state is State.END for name in self._models for _, state, _ in self.statuses(name))

    def lease(self, name: str, number: int | None) -> "AbstractContextManager[tuple[int, ModelSession]]":
        """Holds version `number` of model `name` (None: the latest) in memory for one request.

        Raises:
            StatusError: There is no such model, or the version is not AVAILABLE.
        """
        model = self._models.get(name)
        if model is None:
            raise servable_not_found(name, number)
        return model.servables.lease(number)

    def statuses(self, name: str) -> list[tuple[int, State, StatusError | None]]:
        """Number, state and failure of every version of model `name`, the highest first; empty if unknown."""
        model = self._models.get(name)
        return model.servables.statuses() if model else []

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        thread = Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _polls(self) -> Iterator[None]:
        yield
        while not self._stopping.wait(self._poll_seconds):
            yield

    def _add_models(self) -> None:
        complaint = _Complaint()
        for _ in self._polls():
            try:
                found = self._source()
            except OSError as error:
                complaint.about(f"cannot look for models: {error}")
            else:
                complaint.end()
                self._add(found)

    def _add(self, found: Mapping[str, Path]) -> None:
        added = [Model(name, found[name], self._load) for name in sorted(found.keys() - self._models.keys())]
        with self._lock:
            self._unsettled.update(model.name for model in added)
        for model in added:
            self._models[model.name] = model
            self._spawn(f"model {model.name}", partial(self._follow, model))
        self._settle()

    def _follow(self, model: Model) -> None:
        complaint = _Complaint()
        for _ in self._polls():
            try:
                problem = _sync(model)
            except Exception as error:  # a bug, which is not to end this thread nor to hold up the start
                complaint.about(f"model {model.name}: cannot be followed: {error!r}", error)
                self._settle(model.name)
                continue
            if problem:
                complaint.about(problem)
            else:
                complaint.end()
                self._settle(model.name)

    def _settle(self, *names: str) -> None:
        with self._lock:
            self._unsettled.difference_update(names)
            if not self._unsettled:
                self._settled.set()


def _sync(model: Model) -> str | None:
    """Returns what keeps the model from having any version."""
    try:
        if model.sync():
            return None
    except OSError as error:
        return f"model {model.name}: cannot read its base path: {error}"
    return (
        f"model {model.name}: no versions below {model.base_path}; a version is a directory "
        f"with a number for a name, like {model.base_path / '1'}"
    )


class _Complaint:
    """Logs a problem that each poll finds again once, until it is another one or has ended."""

    def __init__(self) -> None:
        self._problem: str | None = None

    def about(self, problem: str, bug: Exception | None = None) -> None:
        if problem != self._problem:
            _log.warning("%s", problem, exc_info=bug)
        self._problem = problem

    def end(self) -> None:
        self._problem = None
