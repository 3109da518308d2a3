"""The versions of one model in memory: their states, and which of them requests hold."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from pathlib import Path
from threading import Event, Lock

from gannet_serving.loaded import LoadedModel
from gannet_serving.status import StatusError, not_found
from gannet_serving.versions import Fingerprint

_log = logging.getLogger(__name__)


class State(IntEnum):
    """Where a version stands; the numbers are those of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(eq=False)
class Servable:
    """One version, from the moment it was wanted.

    Attributes:
        number: The version.
        path: Its directory.
        files: What was in there when its loading began.
        state: Where it stands.
        failure: Why it could not be loaded the last time; in state LOADING it is about to be tried again.
        given_up: Set once nobody wants it any more: it is not tried again.
        session: The loaded SavedModel while there is one.
        requests: How many requests run on it.
    """

    number: int
    path: Path
    files: Fingerprint
    state: State = State.START
    failure: StatusError | None = None
    given_up: Event = field(default_factory=Event)
    session: LoadedModel | None = None
    requests: int = 0


Work = Callable[[], None]


def at_once(work: Work) -> None:
    """Runs `work` here and now, where a server would give it to a thread."""
    work()


class Servables:
    """All versions of one model that were ever wanted. Safe to use from many threads.

    Attributes:
        model: The model's name.
    """

    def __init__(
        self, model: str, *, unload: Callable[[Work], None] = at_once, changed: Work = lambda: None
    ) -> None:
        """Begins with no versions.

        Args:
            model: The model's name.
            unload: Runs the work that frees a version, now or later.
            changed: Called after each change of state; no lock is held.
        """
        self.model = model
        self._start_unload = unload
        self._changed = changed
        self._lock = Lock()
        self._seen: dict[int, Servable] = {}
        self._serving: dict[int, Servable] = {}

    def begin(self, number: int, path: Path, files: Fingerprint) -> Servable:
        """Puts version `number` into state START; what happened to it before is forgotten."""
        servable = Servable(number, path, files)
        with self._lock:
            self._seen[number] = servable
        self._changed()
        return servable

    def loading(self, servable: Servable) -> None:
        """START -> LOADING."""
        with self._lock:
            servable.state = State.LOADING
        self._changed()

    def available(self, servable: Servable, session: LoadedModel) -> None:
        """LOADING -> AVAILABLE: requests reach it from now on, and no longer what had its number."""
        with self._lock:
            is_current = self._seen[servable.number] is servable
            if is_current:
                replaced = self._serving.get(servable.number)
                self._serving[servable.number] = servable
                servable.session, servable.failure, servable.state = session, None, State.AVAILABLE
        if not is_current:  # its files changed meanwhile, and another takes its place
            session.close()
        elif replaced:
            self.retire([replaced])
        self._changed()

    def failing(self, servable: Servable, failure: StatusError) -> None:
        """Stays LOADING, because it is tried again."""
        with self._lock:
            servable.failure = failure
        self._changed()

    def failed(self, servable: Servable, failure: StatusError) -> None:
        """LOADING -> END."""
        with self._lock:
            servable.failure, servable.state = failure, State.END
        self._changed()

    def current(self) -> list[Servable]:
        """What was begun last for each number."""
        with self._lock:
            return list(self._seen.values())

    def serving(self) -> list[Servable]:
        """What requests reach, the lowest number first."""
        with self._lock:
            return sorted(self._serving.values(), key=lambda servable: servable.number)

    def retire(self, servables: Collection[Servable]) -> None:
        """AVAILABLE -> UNLOADING: no new request reaches them, and the last one's end frees each."""
        with self._lock:  # two threads may retire the same one
            retired = [servable for servable in servables if servable.state is State.AVAILABLE]
            for servable in retired:
                servable.state = State.UNLOADING
                if self._serving.get(servable.number) is servable:
                    del self._serving[servable.number]
            idle = [servable for servable in retired if not servable.requests]
            sessions = [servable.session for servable in retired if servable.session is not None]
        for session in sessions:
            session.retire()
        if retired:
            self._changed()
        for servable in idle:
            self._start_unload(partial(self._unload, servable))

    def lease(self, number: int | None) -> "Lease":
        """Holds a version in memory for one request: version `number`, or the highest AVAILABLE one for None.

        Raises:
            StatusError: On entry: it is not there or not AVAILABLE.
        """
        return Lease(self, number)

    def statuses(self) -> list[tuple[int, State, StatusError | None]]:
        """Number, state and failure of every version, the highest first; only END tells a failure."""
        with self._lock:
            seen = sorted(self._seen.values(), key=lambda servable: servable.number, reverse=True)
            return [(s.number, s.state, s.failure if s.state is State.END else None) for s in seen]

    def acquire(self, number: int | None) -> tuple[Servable, LoadedModel]:
        """Begins a hold, which `release` ends; see `lease`."""
        with self._lock:
            wanted = max(self._serving, default=None) if number is None else number
            servable = self._serving.get(wanted) if wanted is not None else None
            if servable is None or servable.session is None:
                raise servable_not_found(self.model, number)
            servable.requests += 1
            return servable, servable.session

    def release(self, servable: Servable) -> None:
        """Ends a hold."""
        with self._lock:
            servable.requests -= 1
            is_last = servable.state is State.UNLOADING and not servable.requests
        if is_last:
            self._start_unload(partial(self._unload, servable))

    def _unload(self, servable: Servable) -> None:
        """UNLOADING -> END. Called once: on behalf of whoever took away the last hold."""
        if servable.session is not None:
            servable.session.close()
        _log.info("model %s version %d: unloaded", self.model, servable.number)  # after END a process may end
        with self._lock:
            servable.session, servable.state = None, State.END
        self._changed()


class Lease:
    """A context manager that holds a version, and gives its number and what runs its requests."""

    __slots__ = ("_held", "_number", "_servables")

    def __init__(self, servables: Servables, number: int | None) -> None:
        self._servables = servables
        self._number = number

    def __enter__(self) -> tuple[int, LoadedModel]:
        self._held, session = self._servables.acquire(self._number)
        return self._held.number, session

    def __exit__(self, *outcome: object) -> None:
        self._servables.release(self._held)


def servable_not_found(model: str, number: int | None) -> StatusError:
    """What a request is answered whose version cannot be served; None stands for the latest.

    >>> servable_not_found("gen", 99).message
    'Servable not found for request: Specific(gen, 99)'
    """
    wanted = f"Latest({model})" if number is None else f"Specific({model}, {number})"
    return not_found(f"Servable not found for request: {wanted}")
