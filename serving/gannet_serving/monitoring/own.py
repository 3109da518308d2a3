"""The metrics that TensorFlow Serving does not have: by version and signature, in flight, in the queues."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import grpc
from prometheus_client import CollectorRegistry, Metric

from gannet_serving.batching.lane import BatchRun, LaneName
from gannet_serving.calls import Call
from gannet_serving.monitoring.instruments import Counter, Family, Gauge, Histogram
from gannet_serving.monitoring.tensorflow_serving import UNKNOWN

_SECONDS = [0.0005 * 2**i for i in range(18)]
_ROWS = [2**i for i in range(15)]


@dataclass(frozen=True)
class _Kind:
    """The instruments of good requests that are alike."""

    requests: Counter
    seconds: Histogram
    rows: Histogram


@dataclass(frozen=True)
class _Batches:
    """The instruments of one queue."""

    requests: Histogram
    rows: Histogram
    padding: Counter


class OwnMetrics:
    """Metrics of requests and batches."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers the metrics, which have no values yet."""
        family, rows = partial(Family, registry), partial(Histogram, _ROWS)
        labels = "model version signature method entrypoint code"
        self._requests = family("gannet_requests_total", "Requests.", labels, Counter)
        labels = "model version signature"
        self._seconds = family(
            "gannet_request_seconds", "Seconds of good requests.", labels, partial(Histogram, _SECONDS)
        )
        self._rows = family("gannet_request_rows", "Rows of good requests.", labels, rows)
        self._in_flight = family("gannet_requests_in_flight", "Predictions now.", "entrypoint", Gauge)
        labels = "model version signature"
        self._batch_requests = family("gannet_batch_requests", "Requests per batch.", labels, rows)
        self._batch_rows = family("gannet_batch_rows", "Rows per batch, without padding.", labels, rows)
        self._padding = family("gannet_batch_padding_rows_total", "Rows of padding.", labels, Counter)
        self._kinds: dict[tuple[object, ...], _Kind] = {}
        self._batches: dict[LaneName, _Batches] = {}
        self._registry = registry

    def observe(self, call: Call, code: grpc.StatusCode) -> None:
        """Counts a request that is over."""
        if code is not grpc.StatusCode.OK:
            self._requests.of(*_labels(call), call.api, call.entrypoint, code.name).add()
            return
        key = call.model, call.version, call.signature, call.api, call.entrypoint
        kind = self._kinds.get(key) or self._kinds.setdefault(key, self._new_kind(call))
        kind.requests.add()
        kind.seconds.observe(call.seconds)
        kind.rows.observe(call.count_rows())

    def in_flight(self, entrypoint: str, read: Callable[[], int]) -> None:
        """Has `read` called for the number of predictions that run."""
        self._in_flight.of(entrypoint).read = read

    def batched(self, run: BatchRun) -> None:
        """Counts a batch."""
        batches = self._batches.get(run.name)
        if batches is None:
            labels = run.name.model, str(run.name.version), run.name.signature
            batches = self._batches[run.name] = _Batches(
                self._batch_requests.of(*labels), self._batch_rows.of(*labels), self._padding.of(*labels)
            )
        batches.requests.observe(run.requests)
        batches.rows.observe(run.rows)
        batches.padding.add(run.padding)

    def watch_queues(self, read: Callable[[], Mapping[LaneName, int]]) -> None:
        """Has `read` called for the number of requests that wait in each queue."""
        self._registry.register(_Queues(read))

    def _new_kind(self, call: Call) -> _Kind:
        labels = _labels(call)
        return _Kind(
            self._requests.of(*labels, call.api, call.entrypoint, grpc.StatusCode.OK.name),
            self._seconds.of(*labels),
            self._rows.of(*labels),
        )


class _Queues:
    """The lengths of the queues, which come and go with the versions."""

    def __init__(self, read: Callable[[], Mapping[LaneName, int]]) -> None:
        self._read = read

    def collect(self) -> list[Metric]:
        """What the registry asks for."""
        metric = Metric("gannet_batch_queue_length", "Requests that wait.", "gauge")
        for name, length in self._read().items():
            labels = {"model": name.model, "version": str(name.version), "signature": name.signature}
            metric.add_sample(metric.name, labels, length)
        return [metric]


def _labels(call: Call) -> tuple[str, str, str]:
    version = "" if call.version is None else str(call.version)
    return call.model or UNKNOWN, version, call.signature
