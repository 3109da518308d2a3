"""The versions of one model in memory: their states, and which of them requests hold."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from threading import Lock
from typing import TYPE_CHECKING

from gannet_serving.status import StatusError, not_found
from gannet_serving.versions import Fingerprint

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession

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
        files: What its files were when its loading began.
        state: Where it stands.
        failure: Why it could not be loaded, in state END.
        session: The loaded SavedModel while there is one.
        requests: How many requests run on it.
    """

    number: int
    files: Fingerprint
    state: State = State.START
    failure: StatusError | None = None
    session: "ModelSession | None" = None
    requests: int = 0


class Servables:
    """All versions of one model that were ever wanted. Safe to use from many threads."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._lock = Lock()
        self._seen: dict[int, Servable] = {}
        self._serving: dict[int, Servable] = {}

    def begin(self, number: int, files: Fingerprint) -> Servable:
        """Puts version `number` into state START; what happened to it before is forgotten."""
        servable = Servable(number, files)
        with self._lock:
            self._seen[number] = servable
        return servable

    def loading(self, servable: Servable) -> None:
        """START -> LOADING."""
        with self._lock:
            servable.state = State.LOADING

    def available(self, servable: Servable, session: "ModelSession") -> None:
        """LOADING -> AVAILABLE: requests reach it from now on."""
        with self._lock:
            servable.session, servable.state = session, State.AVAILABLE
            self._serving[servable.number] = servable

    def failed(self, servable: Servable, failure: StatusError) -> None:
        """LOADING -> END."""
        with self._lock:
            servable.failure, servable.state = failure, State.END

    def is_available(self, number: int) -> bool:
        """Whether requests reach version `number`."""
        with self._lock:
            return number in self._serving

    def has_failed_with(self, number: int, files: Fingerprint) -> bool:
        """Whether version `number` could not be loaded from just these files."""
        with self._lock:
            servable = self._seen.get(number)
            return servable is not None and servable.failure is not None and servable.files == files

    def retire_all_but(self, number: int | None) -> None:
        """AVAILABLE -> UNLOADING: no new request reaches the others, and the last one's end frees each."""
        with self._lock:
            retired = [servable for servable in self._serving.values() if servable.number != number]
            for servable in retired:
                servable.state = State.UNLOADING
                del self._serving[servable.number]
            idle = [servable for servable in retired if not servable.requests]
        for servable in idle:
            self._unload(servable)

    @contextmanager
    def lease(self, number: int | None) -> Iterator[tuple[int, "ModelSession"]]:
        """Holds a version in memory for one request: version `number`, or the highest AVAILABLE one for None.

        Raises:
            StatusError: It is not there or not AVAILABLE.
        """
        servable, session = self._acquire(number)
        try:
            yield servable.number, session
        finally:
            self._release(servable)

    def statuses(self) -> list[tuple[int, State, StatusError | None]]:
        """Number, state and failure of every version, the highest first."""
        with self._lock:
            seen = sorted(self._seen.values(), key=lambda servable: servable.number, reverse=True)
            return [(servable.number, servable.state, servable.failure) for servable in seen]

    def _acquire(self, number: int | None) -> tuple[Servable, "ModelSession"]:
        with self._lock:
            wanted = max(self._serving, default=None) if number is None else number
            servable = self._serving.get(wanted) if wanted is not None else None
            if servable is None or servable.session is None:
                raise servable_not_found(self._model, number)
            servable.requests += 1
            return servable, servable.session

    def _release(self, servable: Servable) -> None:
        with self._lock:
            servable.requests -= 1
            last = servable.state is State.UNLOADING and not servable.requests
        if last:
            self._unload(servable)

    def _unload(self, servable: Servable) -> None:
        """UNLOADING -> END. Called once: by whoever takes away the last hold."""
        if servable.session is not None:
            servable.session.close()
        with self._lock:
            servable.session, servable.state = None, State.END
        _log.info("model %s version %d: unloaded", self._model, servable.number)


def servable_not_found(model: str, number: int | None) -> StatusError:
    """What a request is answered whose version cannot be served; None stands for the latest.

    >>> servable_not_found("gen", 99).message
    'Servable not found for request: Specific(gen, 99)'
    """
    wanted = f"Latest({model})" if number is None else f"Specific({model}, {number})"
    return not_found(f"Servable not found for request: {wanted}")
