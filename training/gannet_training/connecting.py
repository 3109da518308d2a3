"""The start of TensorFlow's own servers, which connect the workers of a job."""

import contextlib
import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.eager import context

from gannet_client.errors import GannetError, UsageError
from gannet_client.native_log import quiet_native_log
from gannet_training.cluster import Cluster

START_SECONDS = 30
"""The workers have met: their servers start within a second or two of each other."""

log = logging.getLogger(__name__)


def connect(cluster: Cluster) -> tf.distribute.MultiWorkerMirroredStrategy:
    """Connect this process to the others of a job; each of them must do so at the same time.

    Raises:
        UsageError: TensorFlow has run something already, which is too late to connect.
        GannetError: a worker ended since they met, or the own address is taken.
    """
    _bound_the_start(cluster)
    try:
        with _own_sigterm(), quiet_native_log():
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UsageError("cannot connect workers once TensorFlow has started; start a new process") from error
    except tf.errors.OpError as error:
        raise GannetError(
            f"cannot connect {cluster.task.name} with the other workers: {error.message.splitlines()[0]}; "
            "see that its port is free and the others run, then give every worker the same command again"
        ) from error
    _introduce(cluster, strategy)
    return strategy


def _bound_the_start(cluster: Cluster) -> None:
    """Let every worker give up when another does not come; by default TensorFlow waits for an hour.

    Nothing public sets this; the strategy takes a configuration that it finds.
    """
    context.context().configure_coordination_service(
        "standalone",
        service_leader=f"/job:{cluster.chief.role}/replica:0/task:0",
        cluster_register_timeout_in_ms=START_SECONDS * 1000,
    )
    service = context.context().coordination_service
    service.cluster_register_with_barrier = True
    for role, count in Counter(task.role for task in cluster.tasks).items():
        service.coordinated_job_list.add(name=role, num_tasks=count)


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the program's answer to SIGTERM, which TensorFlow's server otherwise swallows."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _introduce(cluster: Cluster, strategy: tf.distribute.Strategy) -> None:
    devices = ", ".join(device.split("device:")[-1] for device in strategy.extended.worker_devices)
    writer = "is the chief and writes the run" if cluster.is_chief else f"{cluster.chief.name} writes the run"
    log.info(
        "rank %d of %d, %s, on %s (%d replicas in all); %s",
        *(cluster.rank, len(cluster.tasks), cluster.task.name, devices),
        *(strategy.num_replicas_in_sync, writer),
    )
