"""The metrics that TensorFlow Serving has, under its names, with its labels and bounds."""

from dataclasses import dataclass
from functools import partial

import grpc
from prometheus_client import CollectorRegistry

from gannet_serving.batching.lane import BatchRun
from gannet_serving.calls import Call
from gannet_serving.monitoring.instruments import Counter, Family, Histogram

UNKNOWN = "(unknown)"
"""In place of a name that a caller has made up: else callers could make up ever new metrics."""
_WITH_EXAMPLES = ("Classify", "Regress", "MultiInference")
_PREDICTIONS = ("Predict", *_WITH_EXAMPLES)
_RUNTIME = "TF1"
_THREAD_POOL = ""  # which TensorFlow Serving leaves empty for the queues of models
_SERVING = ":tensorflow:serving:"
_LOADER = ":tensorflow:cc:saved_model:"
_MICROSECONDS = [10 * 1.8**i for i in range(33)]
_QUEUING = [100 * 1.2**i for i in range(52)]
_EXAMPLES = [2**i for i in range(15)]


@dataclass(frozen=True)
class _Model:
    """The instruments of the answers that one model gives by one method."""

    count: Counter
    latency: Histogram
    runtime: Histogram
    example_counts: Histogram
    example_total: Counter


class ServingMetrics:
    """Metrics of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers the metrics, which have no values yet."""
        family, micros = partial(Family, registry), partial(Histogram, _MICROSECONDS)
        self._counts = family(f"{_SERVING}request_count", "Requests.", "model_name status", Counter)
        self._latency = family(
            f"{_SERVING}request_latency",
            "Microseconds of good requests.",
            "model_name API entrypoint",
            micros,
        )
        self._runtime = family(
            f"{_SERVING}runtime_latency", "Microseconds with the model.", "model_name API runtime", micros
        )
        self._example_counts = family(
            f"{_SERVING}request_example_counts",
            "Examples per request.",
            "model",
            partial(Histogram, _EXAMPLES),
        )
        self._example_total = family(f"{_SERVING}request_example_count_total", "Examples.", "model", Counter)
        self._models: dict[tuple[str, str, str], _Model] = {}

    def observe(self, call: Call, code: grpc.StatusCode) -> None:
        """Counts a request that is over; only predictions count."""
        if call.api not in _PREDICTIONS:
            return
        if code is grpc.StatusCode.OK:
            self._observe_answer(call)
        else:
            self._counts.of(call.model or UNKNOWN, code.name).add()

    def _observe_answer(self, call: Call) -> None:
        key = call.model, call.api, call.entrypoint
        model = self._models.get(key) or self._models.setdefault(key, self._new_model(*key))
        model.count.add()
        model.latency.observe(call.seconds * 1e6)
        model.runtime.observe(call.runtime * 1e6)
        if call.api in _WITH_EXAMPLES:
            count = call.count_rows()
            model.example_counts.observe(count)
            model.example_total.add(count)

    def _new_model(self, name: str, api: str, entrypoint: str) -> _Model:
        return _Model(
            self._counts.of(name, grpc.StatusCode.OK.name),
            self._latency.of(name, api, entrypoint),
            self._runtime.of(name, api, _RUNTIME),
            self._example_counts.of(name),
            self._example_total.of(name),
        )


class LoadMetrics:
    """Metrics of versions that are loaded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers the metrics, which have no values yet."""
        family = partial(Family, registry)
        self._attempts = family(f"{_LOADER}load_attempt_count", "Loads.", "model_path status", Counter)
        self._latency = family(f"{_LOADER}load_latency", "Microseconds of good loads.", "model_path", Counter)
        self._warmup_latency = family(
            f"{_SERVING}model_warmup_latency",
            "Microseconds of a warm-up.",
            "model_path status",
            partial(Histogram, _MICROSECONDS),
        )

    def loaded(self, path: str, seconds: float, *, is_good: bool) -> None:
        """Counts a try to load the version in `path`."""
        self._attempts.of(path, "success" if is_good else "fail").add()
        if is_good:
            self._latency.of(path).add(seconds * 1e6)

    def warmed_up(self, path: str, seconds: float, status: str) -> None:
        """Counts a warm-up of the version in `path`."""
        self._warmup_latency.of(path, status).observe(seconds * 1e6)


class BatchingMetrics:
    """Metrics of merged requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers the metrics, which have no values yet."""
        self._queuing = Family(
            registry,
            f"{_SERVING}batching_session:queuing_latency",
            "Microseconds that requests waited for their batch.",
            "thread_pool_name",
            partial(Histogram, _QUEUING),
        )
        self._runs = Family(
            registry, f"{_SERVING}batching_session:wrapped_run_count", "Batches.", "", Counter
        )

    def batched(self, run: BatchRun) -> None:
        """Counts a batch."""
        self._runs.of().add()
        queuing = self._queuing.of(_THREAD_POOL)
        for seconds in run.waited:
            queuing.observe(seconds * 1e6)
