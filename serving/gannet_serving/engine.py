"""Brings TensorFlow into a server process: late, once, and quietly."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import grpc

from gannet_client.contract import WARMUP_FILE
from gannet_client.native_log import quiet_native_log
from gannet_serving.batching.batcher import Batcher
from gannet_serving.loaded import LoadedModel, Loader
from gannet_serving.options import ServerOptions
from gannet_serving.status import StatusError
from gannet_serving.versions import Version

if TYPE_CHECKING:
    from gannet_serving.monitoring.tensorflow_serving import LoadMetrics
    from gannet_serving.session import ModelSession

_lock = Lock()


def loader(
    options: ServerOptions, batcher: Batcher | None = None, metrics: "LoadMetrics | None" = None
) -> Loader:
    """What loads versions as `options` ask for.

    Args:
        options: How versions are loaded and warmed up, and whether their requests are merged.
        batcher: Merges them; by default as `options` ask for.
        metrics: Counts warm-ups.

    Raises:
        UsageError: The parameters of batching are refused.
    """
    batcher = batcher or (Batcher(options) if options.enable_batching else None)

    def load(version: Version) -> LoadedModel:
        wrap = partial(batcher.wrap, version=version) if batcher else None
        return load_model(version.path, options, wrap, metrics)

    return load


def load_model(
    directory: Path,
    options: ServerOptions | None = None,
    wrap: "Callable[[ModelSession], LoadedModel] | None" = None,
    metrics: "LoadMetrics | None" = None,
) -> LoadedModel:
    """Loads and warms up the SavedModel in `directory`, importing TensorFlow first if need be.

    Args:
        directory: The version.
        options: How it is loaded and warmed up.
        wrap: Makes of the session what requests run on, those of the warm-up included.
        metrics: Counts warm-ups.

    Raises:
        StatusError: It cannot be loaded, or one of its warm-up requests fails.
    """
    import_tensorflow()
    from gannet_serving.session import ModelSession

    options = options or ServerOptions()
    session = ModelSession(directory, options)
    model: LoadedModel = session
    try:
        if wrap:
            model = wrap(session)
        if options.enable_model_warmup:
            _warm_up(model, directory, options, metrics)
    except BaseException:
        model.close()
        raise
    return model


def _warm_up(
    model: LoadedModel, directory: Path, options: ServerOptions, metrics: "LoadMetrics | None"
) -> None:
    from gannet_serving.warm_up import warm_up

    begin = time.monotonic()
    status = grpc.StatusCode.OK
    try:
        warm_up(model, directory, iterations=options.num_request_iterations_for_warmup or 1)
    except StatusError as error:
        status = error.code
        raise
    finally:
        if metrics and (directory / WARMUP_FILE).exists():
            metrics.warmed_up(str(directory), time.monotonic() - begin, status.name)


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
