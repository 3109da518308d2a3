"""Where a run computes: one device, or several that mirror each other."""

import tensorflow as tf

from gannet_client.errors import UsageError


def strategy(name: str = "auto", replicas: int | None = None) -> tf.distribute.Strategy:
    """Choose a distribution strategy.

    Args:
        name: "auto" mirrors over all GPUs where there are several; "single" uses one device; "mirrored"
            copies the model to every device.
        replicas: how many devices "mirrored" takes; by default all GPUs. Without GPUs the CPU is divided into
            so many logical devices.

    Raises:
        UsageError: there are fewer devices than asked for, or the CPU can no longer be divided.
    """
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
