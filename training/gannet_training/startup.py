"""How the commands start."""

import logging

from gannet_client.native_log import quiet_native_log


def start_tensorflow() -> None:
    """Import TensorFlow and look for devices, without the chatter that no user can act upon."""
    with quiet_native_log():
        import tensorflow as tf

        tf.config.list_physical_devices()


def start_log() -> None:
    """Send Gannet's own messages to stderr, one line each."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("gannet_training").setLevel(logging.INFO)
    logging.getLogger("gannet_export").setLevel(logging.INFO)
