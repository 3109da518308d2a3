"""Brings TensorFlow into a server process: late, once, and quietly."""

import gc
import logging
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
_ERRORS_ONLY = "3"
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
        with _without_keras(), _quiet():
            import tensorflow  # noqa: F401
        # Objects that live for ever, a quarter of a million: a full collection among them would take 0.1 s.
        gc.collect()
        gc.freeze()


@contextmanager
def _without_keras() -> Iterator[None]:
    """Keeps TensorFlow from importing Keras, of which a server has no use: a third of the time and 100 MB."""
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["keras"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Sets TensorFlow's logs to errors, unless the user has chosen, and mutes it until it has read that."""
    if _VERBOSITY in os.environ:
        yield
        return
    os.environ[_VERBOSITY] = _ERRORS_ONLY
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _muted_stderr():
        yield


@contextmanager
def _muted_stderr() -> Iterator[None]:
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
