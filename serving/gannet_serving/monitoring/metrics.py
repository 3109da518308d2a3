"""What a server counts, and the page that tells it to Prometheus."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector

from gannet_serving.batching.lane import BatchRun, LaneName
from gannet_serving.calls import Recorders
from gannet_serving.monitoring.exposition import exposition
from gannet_serving.monitoring.own import OwnMetrics
from gannet_serving.monitoring.tensorflow_serving import BatchingMetrics, LoadMetrics, ServingMetrics
from gannet_serving.text_protos import read_text_proto

_PATH = "/monitoring/prometheus/metrics"


class Metrics:
    """All metrics of a server. Safe to use from many threads.

    Attributes:
        path: Where HTTP tells them.
        recorders: Count requests that are over.
        loads: Counts loads and warm-ups.
    """

    def __init__(self, path: str = _PATH) -> None:
        self.path = path
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        serving, self._own = ServingMetrics(self._registry), OwnMetrics(self._registry)
        self.recorders: Recorders = (serving.observe, self._own.observe)
        self.loads = LoadMetrics(self._registry)
        self._batching = BatchingMetrics(self._registry)

    def in_flight(self, entrypoint: str, read: Callable[[], int]) -> None:
        """Has `read` called for the number of predictions that run; `entrypoint` is GRPC or REST."""
        self._own.in_flight(entrypoint, read)

    def batched(self, run: BatchRun) -> None:
        """Counts a batch that is about to run."""
        self._batching.batched(run)
        self._own.batched(run)

    def watch_queues(self, read: Callable[[], Mapping[LaneName, int]]) -> None:
        """Has `read` called for the number of requests that wait in each queue."""
        self._own.watch_queues(read)

    def page(self) -> str:
        """All metrics in Prometheus' text format."""
        return exposition(self._registry)


def read_metrics(path: str) -> Metrics | None:
    """The metrics that the MonitoringConfig in `path` asks for, if any.

    Raises:
        UsageError: The file cannot be read or is no MonitoringConfig.
    """
    config = read_text_proto("MonitoringConfig", "monitoring_config_file", path).prometheus_config
    return Metrics(config.path or _PATH) if config.enable else None
