"""Loads versions: in threads, so many at a time, and again where that failed."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import grpc

from gannet_serving.loaded import Loader
from gannet_serving.processor import advice, read_cpuinfo
from gannet_serving.servables import Servable, Servables, Work, at_once
from gannet_serving.status import StatusError
from gannet_serving.versions import Version

if TYPE_CHECKING:
    from gannet_serving.monitoring.tensorflow_serving import LoadMetrics

_log = logging.getLogger(__name__)


class Loads:
    """How versions are loaded."""

    def __init__(
        self,
        load: Loader,
        *,
        start: Callable[[Work], None] = at_once,
        slots: AbstractContextManager[object] = nullcontext(),  # noqa: B008
        retries: int = 0,
        interval: float = 0.0,
        metrics: "LoadMetrics | None" = None,
    ) -> None:
        """Loads nothing yet.

        Args:
            load: Loads one version.
            start: Runs the work of a version, in a thread of its own for instance.
            slots: Held during each single try, to bound how many there are at a time.
            retries: How often a version is tried again.
            interval: Seconds between two tries.
            metrics: Counts the tries.
        """
        self._load = load
        self._start = start
        self._slots = slots
        self._retries = retries
        self._interval = interval
        self._metrics = metrics

    def begin(self, servables: Servables, servable: Servable) -> None:
        """Brings `servable` from START to AVAILABLE or END; returns at once if `start` does."""
        self._start(partial(self._run, servables, servable))

    def _run(self, servables: Servables, servable: Servable) -> None:
        name = f"model {servables.model} version {servable.number}"
        failure = self._try(name, servables, servable)
        for _ in range(self._retries):
            if failure is None or servable.given_up.is_set():
                break
            _log.warning("%s: failed: %s; next try in %g s", name, _one_line(failure), self._interval)
            servables.failing(servable, failure)
            servable.given_up.wait(self._interval)
            failure = self._try(name, servables, servable)
        if failure is not None:
            level = logging.INFO if servable.given_up.is_set() else logging.ERROR
            _log.log(level, "%s: failed: %s", name, _one_line(failure))
            servables.failed(servable, failure)

    def _try(self, name: str, servables: Servables, servable: Servable) -> StatusError | None:
        """Returns why the version is not AVAILABLE now."""
        with self._slots:
            if servable.given_up.is_set():
                return StatusError(grpc.StatusCode.CANCELLED, "Loading of servable cancelled")
            _log.info("%s: loading from %s", name, servable.path)
            servables.loading(servable)
            begin = time.monotonic()
            try:
                session = self._load(Version(servables.model, servable.number, servable.path))
            except Exception as error:  # whatever it is, it concerns this version alone
                self._count(servable, begin, is_good=False)
                return _as_failure(error)
        self._count(servable, begin, is_good=True)
        servables.available(servable, session)
        _log.info("%s: AVAILABLE in %.1f s", name, time.monotonic() - begin)
        if slow := advice(servable.path, read_cpuinfo()):
            _log.warning("%s: %s", name, slow)
        return None

    def _count(self, servable: Servable, begin: float, *, is_good: bool) -> None:
        if self._metrics:
            self._metrics.loaded(str(servable.path), time.monotonic() - begin, is_good=is_good)


def _as_failure(error: Exception) -> StatusError:
    """What GetModelStatus tells. A new object: the traceback of `error` keeps the broken graph in memory."""
    if isinstance(error, StatusError):
        return StatusError(error.code, error.message)
    return StatusError(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")


def _one_line(failure: StatusError) -> str:
    return " ".join(str(failure).split())
