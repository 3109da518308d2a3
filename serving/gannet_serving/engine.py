"""Brings TensorFlow into a server process: late, once, and quietly."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from gannet_client.native_log import quiet_native_log
from gannet_serving.batching.batcher import Batcher
from gannet_serving.loaded import LoadedModel, Loader
from gannet_serving.options import ServerOptions
from gannet_serving.versions import Version

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession

_lock = Lock()


def loader(options: ServerOptions, batcher: Batcher | None = None) -> Loader:
    """What loads versions as `options` ask for.

    Args:
        options: How versions are loaded and warmed up, and whether their requests are merged.
        batcher: Merges them; by default as `options` ask for.

    Raises:
        UsageError: The parameters of batching are refused.
    """
    batcher = batcher or (Batcher(options) if options.enable_batching else None)

    def load(version: Version) -> LoadedModel:
        return load_model(version.path, options, partial(batcher.wrap, version=version) if batcher else None)

    return load


def load_model(
    directory: Path,
    options: ServerOptions | None = None,
    wrap: "Callable[[ModelSession], LoadedModel] | None" = None,
) -> LoadedModel:
    """Loads and warms up the SavedModel in `directory`, importing TensorFlow first if need be.

    Args:
        directory: The version.
        options: How it is loaded and warmed up.
        wrap: Makes of the session what requests run on, those of the warm-up included.

    Raises:
        StatusError: It cannot be loaded, or one of its warm-up requests fails.
    """
    import_tensorflow()
    from gannet_serving.session import ModelSession
    from gannet_serving.warm_up import warm_up

    options = options or ServerOptions()
    session = ModelSession(directory, options)
    model: LoadedModel = session
    try:
        if wrap:
            model = wrap(session)
        if options.enable_model_warmup:
            warm_up(model, directory, iterations=options.num_request_iterations_for_warmup or 1)
    except BaseException:
        model.close()
        raise
    return model


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
