"""Where a run computes: one device, several that mirror each other, or several machines."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from gannet_client.errors import UsageError
from gannet_training.cluster import choose_cluster, warn_of_unused_cluster
from gannet_training.rendezvous import WAIT_SECONDS, meet


def strategy(
    name: str = "auto",
    replicas: int | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    wait: float = WAIT_SECONDS,
) -> tf.distribute.Strategy:
    """Choose a distribution strategy.

    Args:
        name: "auto" connects the workers of `TF_CONFIG` where it names several, else mirrors over all GPUs
            where there are several; "single" uses one device; "mirrored" copies the model to every device;
            "multiworker" copies it to every device of every worker.
        replicas: how many devices "mirrored" takes; by default all GPUs. Without GPUs the CPU is divided into
            so many logical devices.
        settings: JSON values that must be the same on every worker.
        wait: seconds to wait for the other workers.

    Raises:
        UsageError: there are fewer devices than asked for, or the CPU can no longer be divided; `TF_CONFIG`
            is missing or wrong; the workers' settings differ.
        WorkersMissing: not all workers came in time.
    """
    cluster = choose_cluster(name)
    if cluster is not None:
        if replicas is not None:
            raise UsageError(
                f"multiworker takes all GPUs of each worker, or its CPU, received {replicas} replicas; "
                "leave --replicas out, and limit the GPUs with CUDA_VISIBLE_DEVICES"
            )
        meet(cluster, dict(settings or {}), wait)
        from gannet_training.connecting import connect

        return connect(cluster)
    warn_of_unused_cluster(name)
    if name == "single" and replicas not in (None, 1):
        raise UsageError(f"the strategy single has one replica, received {replicas}; choose mirrored")
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")] if _has_gpu() else []
    if name == "single" or (name == "auto" and replicas is None and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if not gpus:
        return tf.distribute.MirroredStrategy(_logical_cpus(replicas or 1))
    wanted = replicas or len(gpus)
    if wanted > len(gpus):
        raise UsageError(f"expected at most {len(gpus)} replicas, one per GPU, received {wanted}")
    return tf.distribute.MirroredStrategy(gpus[:wanted])


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def _logical_cpus(count: int) -> list[str]:
    (cpu,) = tf.config.list_physical_devices("CPU")
    try:
        if len(tf.config.get_logical_device_configuration(cpu) or [None]) < count:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise UsageError(f"cannot divide the CPU into {count} devices once TensorFlow has started") from error
    return [device.name for device in tf.config.list_logical_devices("CPU")][:count]
