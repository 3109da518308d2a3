"""One follower per model, and what can be asked of them all."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from threading import Condition, Event, Semaphore, Thread
from typing import TYPE_CHECKING

from gannet_serving.config import Models
from gannet_serving.follower import Follower
from gannet_serving.loaded import LoadedModel, Loader
from gannet_serving.loads import Loads
from gannet_serving.options import ServerOptions
from gannet_serving.servables import State, Work, servable_not_found
from gannet_serving.status import StatusError

if TYPE_CHECKING:
    from gannet_serving.monitoring.tensorflow_serving import LoadMetrics


class Crew:
    """Every model that was ever configured, each in the care of a thread. Safe to use from many threads."""

    def __init__(self, options: ServerOptions, load: Loader, metrics: "LoadMetrics | None") -> None:
        """Begins with no models.

        Args:
            options: How versions are looked for, loaded and unloaded.
            load: Loads a version.
            metrics: Counts loads.
        """
        self._every = options.file_system_poll_wait_seconds
        self._loads = Loads(
            load,
            start=partial(start_thread, "load"),
            slots=Semaphore(options.load_threads),
            retries=options.max_num_load_retries,
            interval=options.load_retry_interval_micros / 1e6,
            metrics=metrics,
        )
        self._unload_slots = Semaphore(options.num_unload_threads or 1)
        self._followers: dict[str, Follower] = {}
        self._changed = Condition()
        self._listeners: list[Work] = []
        self._stopped = Event()

    def configure(self, models: Models) -> None:
        """Has just these models followed; the others are unloaded. For one thread at a time."""
        for name in models.keys() - self._followers.keys():
            follower = Follower(
                name, self._loads, every=self._every, unload=self._unload, changed=self._notify
            )
            self._followers[name] = follower
            start_thread(f"follow-{name}", partial(follower.run, self._stopped))
        for name, follower in self._followers.items():
            follower.configure(models.get(name))

    def wait_until_settled(self, names: Iterable[str], timeout: float | None) -> bool:
        """Waits until each of the models has a version that is AVAILABLE or none that can be."""
        followers = [self._followers[name] for name in names]
        return self._wait_for(lambda: all(follower.is_settled() for follower in followers), timeout)

    def stop(self, timeout: float | None) -> bool:
        """Unloads everything; returns whether that has ended after at most `timeout` seconds."""
        self.configure({})
        has_ended = self._wait_for(self._has_ended, timeout)
        if has_ended:
            self._stopped.set()
            for follower in self._followers.values():
                follower.wake()
        return has_ended

    def knows(self, name: str) -> bool:
        """Whether a model of that name was ever configured."""
        return name in self._followers

    def is_available(self, name: str) -> bool:
        """Whether the model has a version that requests reach."""
        follower = self._followers.get(name)
        return follower is not None and bool(follower.servables.serving())

    def when_changed(self, call: Work) -> None:
        """Has `call` called after each change."""
        self._listeners.append(call)

    def lease(self, name: str, number: int | None) -> "AbstractContextManager[tuple[int, LoadedModel]]":
        """Holds version `number` of model `name` (None: the latest) in memory for one request.

        Raises:
            StatusError: There is no such model, or the version is not AVAILABLE.
        """
        follower = self._followers.get(name)
        if follower is None:
            raise servable_not_found(name, number)
        return follower.servables.lease(number)

    def statuses(self, name: str) -> list[tuple[int, State, StatusError | None]]:
        """Number, state and failure of every version of model `name`, the highest first; empty if unknown."""
        follower = self._followers.get(name)
        return follower.servables.statuses() if follower else []

    def available(self) -> set[tuple[str, int]]:
        """Every AVAILABLE version, as model and number."""
        return {
            (name, servable.number)
            for name, follower in list(self._followers.items())
            for servable in follower.servables.serving()
        }

    def _has_ended(self) -> bool:
        states = {state for name in self._followers for _, state, _ in self.statuses(name)}
        return states <= {State.END} and all(follower.is_settled() for follower in self._followers.values())

    def _unload(self, work: Work) -> None:
        def work_in_turn() -> None:
            with self._unload_slots:
                work()

        start_thread("unload", work_in_turn)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
        for call in self._listeners:
            call()

    def _wait_for(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout)


def start_thread(name: str, work: Work) -> None:
    """Begins `work` in a thread that does not keep the process from ending; `name` is for those who debug."""
    Thread(target=work, name=name, daemon=True).start()
