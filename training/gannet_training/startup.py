"""How the commands start TensorFlow."""

from gannet_client.native_log import quiet_native_log


def start_tensorflow() -> None:
    """Import TensorFlow and look for devices, without the chatter that no user can act upon."""
    with quiet_native_log():
        import tensorflow as tf

        tf.config.list_physical_devices()
