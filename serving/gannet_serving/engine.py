"""Brings TensorFlow into a server process: late, once, and quietly."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession

_VERBOSITY = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_AND_BELOW = "3"
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

    Its C++ log stays silent unless TF_CPP_MIN_LOG_LEVEL is set: what matters arrives as the status of an op.
    """
    with _lock:
        if "tensorflow" in sys.modules:
            return
        if _VERBOSITY in os.environ:
            import tensorflow as tf
        else:
            os.environ[_VERBOSITY] = _ERRORS_AND_BELOW
            with _muted_stderr():
                import tensorflow as tf
            tf.get_logger().setLevel("ERROR")
        # A million objects that live for ever: without them a full collection takes 1 ms instead of 170.
        gc.collect()
        gc.freeze()


@contextmanager
def _muted_stderr() -> Iterator[None]:
    """Discards what goes to file descriptor 2: TensorFlow logs there before it reads its own settings."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
