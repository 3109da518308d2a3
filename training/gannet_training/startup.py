"""How the commands start."""

import logging
import signal

from gannet_client.native_log import quiet_native_log
from gannet_client.signals import ending_signals


def start_tensorflow() -> None:
    """Import TensorFlow and look for devices, without the chatter that no user can act upon."""
    # Among the errors are graphs that cannot be optimised further, about which nobody can do anything.
    with quiet_native_log(errors=False):
        import tensorflow as tf

        tf.config.list_physical_devices()


def start_log() -> None:
    """Send Gannet's own messages to stderr, one line each."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("gannet_training").setLevel(logging.INFO)
    logging.getLogger("gannet_export").setLevel(logging.INFO)


def stop_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does.

    What can be kept is kept, what is half done is removed. After `nohup` SIGHUP does not count.
    """
    for number in ending_signals():
        signal.signal(number, signal.default_int_handler)
