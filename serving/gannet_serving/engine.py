"""Brings TensorFlow into a server process: late, once, and quietly."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from gannet_client.native_log import quiet_native_log

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession

_lock = Lock()


def load_model(directory: Path) -> "ModelSession":
    """Loads the SavedModel in `directory`, importing TensorFlow first if need be.

    Raises:
        StatusError: It cannot be loaded.
    """
    import_tensorflow()
    from gannet_serving.session import ModelSession

    return ModelSession(directory)


def import_tensorflow() -> None:
    """Imports TensorFlow (seconds) unless that is done; several threads may ask at the same time.

    Its logs stay silent unless TF_CPP_MIN_LOG_LEVEL is set: what matters arrives as the status of an op.
    """
    with _lock:
        if "tensorflow" in sys.modules:
            return
        with _without_keras(), quiet_native_log():
            import tensorflow as tf

            tf.config.list_physical_devices()  # complains here already that there is no GPU
        # These objects live for ever: a full collection would search them all, and requests would wait.
        gc.collect()
        gc.freeze()


@contextmanager
def _without_keras() -> Iterator[None]:
    """Keeps TensorFlow from importing Keras, of which a server has no use: it costs time and memory."""
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["keras"]
