"""All models of a server: which there are to be, and which version a request is for."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from threading import Event, RLock
from typing import TYPE_CHECKING

import grpc

from gannet_client.errors import UsageError
from gannet_serving.batching.batcher import Batcher
from gannet_serving.config import (
    Models,
    checked_labels,
    require_same_platforms,
    require_servable,
    require_versions,
)
from gannet_serving.crew import Crew, start_thread
from gannet_serving.engine import loader
from gannet_serving.follower import Complaint
from gannet_serving.loaded import LoadedModel, Loader
from gannet_serving.options import ServerOptions
from gannet_serving.servables import State
from gannet_serving.sources import Source
from gannet_serving.status import StatusError, invalid

if TYPE_CHECKING:
    from gannet_serving.monitoring.metrics import Metrics

_PATIENCE_SECONDS = 1.0
"""How long a reload waits before it asks again whether its caller still does."""


class ModelManager:
    """Keeps the models of a configuration in step with their directories, and finds versions for requests.

    Attributes:
        metrics: Counts what happens, where the options ask for that.
    """

    def __init__(
        self, source: Source, options: ServerOptions | None = None, *, load: Loader | None = None
    ) -> None:
        """Prepares; `start` does the work.

        Args:
            source: Tells the configuration.
            options: How versions are looked for and loaded; by default as TensorFlow Serving does.
            load: Loads a version; by default as `options` ask for.

        Raises:
            UsageError: The configuration of the metrics, or the parameters of batching, are refused.
        """
        options = options or ServerOptions()
        self._source = source
        self._labels_may_wait = options.allow_version_labels_for_unavailable_models
        self.metrics = _metrics(options)
        loads = self.metrics.loads if self.metrics else None
        load = load or loader(options, _batcher(options, self.metrics), loads)
        self._crew = Crew(options, load, loads)
        self._configuring = RLock()
        self._config: Models = {}
        self._labels: dict[tuple[str, str], int] = {}
        self._first: Models = {}
        self._stopping = Event()
        self._complaint = Complaint()

    def start(self) -> None:
        """Takes the first configuration and begins to follow its models; returns at once.

        Raises:
            StatusError: The configuration is refused.
            UsageError: It cannot be read.
        """
        self._first = self._take(self._read_source(), is_first=True)
        if self._source.every:
            start_thread("follow-models", self._follow_source)

    def wait_until_settled(self, timeout: float | None = None) -> bool:
        """Waits until each model named at first has a version that is AVAILABLE or none that can be.

        Returns:
            Whether that is so; False when `timeout` seconds have passed before.
        """
        return self._crew.wait_until_settled(self._first, timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """Stops following and unloads everything. A load that is under way cannot be interrupted.

        Returns:
            Whether all has ended: no load runs after `timeout` seconds, and no request at all.
        """
        with self._configuring:
            self._stopping.set()
        return self._crew.stop(timeout)

    def reload(self, new: Models, *, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Replaces the whole configuration and waits until the models that are new in it are settled.

        A configuration that is refused changes nothing. TensorFlow Serving would wait for ever for a base
        path that is missing or empty, with all later reloads behind it; here that is an error.

        Args:
            new: The configuration; a model that is not in it is unloaded.
            is_wanted: Whether somebody waits; asked now and then.

        Raises:
            StatusError: The configuration is refused, or a new model did not become AVAILABLE.
        """
        added = self._take(new)
        while not self._crew.wait_until_settled(added, _PATIENCE_SECONDS):
            if not is_wanted():
                return
        failures = self.failures(added)
        if failures:
            raise StatusError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failures)} model(s) did not become available: {{{''.join(failures)}}}",
            )

    def failures(self, names: Iterable[str] | None = None) -> list[str]:
        """The models that have no version to serve, in TensorFlow Serving's words.

        Args:
            names: Which models are meant; by default those named at first.

        Returns:
            One text for each version.
        """
        texts = []
        for name in sorted(self._first if names is None else names):
            statuses = self.statuses(name)
            if all(state is not State.AVAILABLE for _, state, _ in statuses):
                texts += [
                    f"{{{{name: {name} version: {number}}} due to error: {failure or 'it was unloaded'}}}, "
                    for number, _, failure in statuses
                ] or [f"{{{{name: {name}}} due to error: it has no versions}}, "]
        return texts

    def lease(self, name: str, number: int | None) -> "AbstractContextManager[tuple[int, LoadedModel]]":
        """Holds version `number` of model `name` (None: the latest) in memory for one request.

        Raises:
            StatusError: There is no such model, or the version is not AVAILABLE.
        """
        return self._crew.lease(name, number)

    def knows(self, name: str) -> bool:
        """Whether there is, or was, a model of that name."""
        return self._crew.knows(name)

    def is_available(self, name: str) -> bool:
        """Whether model `name` has a version that is AVAILABLE."""
        return self._crew.is_available(name)

    def when_changed(self, call: Callable[[], None]) -> None:
        """Has `call` called after each change of any version's state; it must return at once."""
        self._crew.when_changed(call)

    def labelled(self, name: str, label: str) -> int:
        """The version of model `name` that bears `label`.

        Raises:
            StatusError: None does.
        """
        number = self._labels.get((name, label))
        if number is None:
            raise invalid(f"Unrecognized servable version label: {label}")
        return number

    def statuses(self, name: str) -> list[tuple[int, State, StatusError | None]]:
        """Number, state and failure of every version of model `name`, the highest first; empty if unknown."""
        return self._crew.statuses(name)

    def _take(self, new: Models, *, is_first: bool = False) -> Models:
        """Checks a configuration in TensorFlow Serving's order, puts it in force, returns what it adds."""
        with self._configuring:
            require_same_platforms(self._config, new)
            labels = checked_labels(new, self._config, self._crew.available(), may_wait=self._labels_may_wait)
            require_servable(new)
            if not is_first:
                require_versions(new, self._config)
            if self._stopping.is_set():
                raise StatusError(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
            added = {name: config for name, config in new.items() if name not in self._config}
            self._config, self._labels = new, labels
            self._crew.configure(new)
            return added

    def _read_source(self) -> Models:
        try:
            return self._source.read(self._config)
        except OSError as error:
            self._complaint.about(f"cannot look for models: {error}")
            return self._config

    def _follow_source(self) -> None:
        while not self._stopping.wait(self._source.every):
            with self._configuring:
                try:
                    self._take(self._source.read(self._config))
                    self._complaint.end()
                except OSError as error:
                    self._complaint.about(f"cannot look for models: {error}")
                except (StatusError, UsageError) as error:
                    if not self._stopping.is_set():
                        self._complaint.about(f"the configuration in force stays: {error}")


def _batcher(options: ServerOptions, metrics: "Metrics | None") -> Batcher | None:
    if not options.enable_batching:
        return None
    if metrics is None:
        return Batcher(options)
    batcher = Batcher(options, metrics.batched)
    metrics.watch_queues(batcher.queue_lengths)
    return batcher


def _metrics(options: ServerOptions) -> "Metrics | None":
    if not options.monitoring_config_file:
        return None
    from gannet_serving.monitoring.metrics import read_metrics

    return read_metrics(options.monitoring_config_file)
