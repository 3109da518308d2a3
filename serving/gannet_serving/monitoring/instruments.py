"""Counters, gauges and histograms that cost a caller less than a microsecond.

Those of prometheus-client cost several times that, and put `_total` behind the names of counters, which
TensorFlow Serving does not. Its registry and its process metrics are used as they are.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from threading import Lock
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Metric

_Labels = dict[str, str]


class Counter:
    """A number that grows."""

    kind = "counter"

    def __init__(self) -> None:
        self._value = 0.0
        self._lock = Lock()

    def add(self, amount: float = 1) -> None:
        """Adds `amount`, which is not negative."""
        with self._lock:
            self._value += amount

    def add_samples(self, metric: Metric, labels: _Labels) -> None:
        """Adds its value to `metric`."""
        metric.add_sample(metric.name, labels, self._value)


class Gauge:
    """A number that is read when somebody asks for the metrics."""

    kind = "gauge"

    def __init__(self) -> None:
        self.read: Callable[[], float] = lambda: 0

    def add_samples(self, metric: Metric, labels: _Labels) -> None:
        """Adds its value to `metric`."""
        metric.add_sample(metric.name, labels, self.read())


class Histogram:
    """How many observations lie at or below each of some bounds."""

    kind = "histogram"

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = Lock()

    def observe(self, value: float) -> None:
        """Counts `value`."""
        index = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[index] += 1
            self._sum += value

    def add_samples(self, metric: Metric, labels: _Labels) -> None:
        """Adds a sample for each bound, the sum and the count to `metric`."""
        with self._lock:
            counts, total = list(accumulate(self._counts)), self._sum
        for bound, count in zip([*(f"{bound:g}" for bound in self._bounds), "+Inf"], counts, strict=True):
            metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, count)
        metric.add_sample(f"{metric.name}_sum", labels, total)
        metric.add_sample(f"{metric.name}_count", labels, counts[-1])


Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)


class Family(Generic[Instrument]):
    """One instrument for each combination of label values; the caller keeps what it often needs."""

    def __init__(
        self, registry: CollectorRegistry, name: str, text: str, labels: str, new: Callable[[], Instrument]
    ) -> None:
        """Registers the family.

        Args:
            registry: Where it is to appear.
            name: Of the metric.
            text: What it counts.
            labels: Their names, between spaces.
            new: Makes an instrument.
        """
        self._name, self._text, self._labels = name, text, labels.split()
        self._new: Callable[[], Instrument] = new
        self._instruments: dict[tuple[str, ...], Instrument] = {}
        self._lock = Lock()
        registry.register(self)

    def of(self, *values: str) -> Instrument:
        """The instrument for these values of the labels, the same one each time."""
        with self._lock:
            if values not in self._instruments:
                self._instruments[values] = self._new()
            return self._instruments[values]

    def collect(self) -> list[Metric]:
        """What the registry asks for."""
        with self._lock:
            instruments = sorted(self._instruments.items())
        if not instruments:
            return []
        metric = Metric(self._name, self._text, instruments[0][1].kind)
        for values, instrument in instruments:
            instrument.add_samples(metric, dict(zip(self._labels, values, strict=True)))
        return [metric]
