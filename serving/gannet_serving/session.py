"""A SavedModel in a v1 Session, which is how TensorFlow Serving runs one."""

import gc
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import grpc
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from gannet_client.codec import Array
from gannet_serving.callers import UNHURRIED, Caller
from gannet_serving.options import ServerOptions
from gannet_serving.signatures import Signature
from gannet_serving.status import StatusError, code_of, not_found
from gannet_serving.step import Step

_FILES = ("saved_model.pb", "saved_model.pbtxt")
_MAX_STEPS = 64
"""Bound on what callers can make the session keep by asking for ever new selections of outputs."""


class ModelSession:
    """One loaded SavedModel. Safe to use from many threads until it is closed.

    Attributes:
        signatures: What the model can be asked for, by key.
    """

    def __init__(self, directory: Path, options: ServerOptions) -> None:
        """Loads the SavedModel in `directory` with everything its initialisation asks for.

        Args:
            directory: The version.
            options: Tell which of its graphs is meant, and with how many threads it runs.

        Raises:
            StatusError: It cannot be loaded; code and message are TensorFlow Serving's where it has them.
        """
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=_session_config(options))
        self._steps: dict[tuple[tuple[str, ...], tuple[str, ...]], Step] = {}
        self._lock = Lock()
        try:
            loaded = _load(self._session, directory, options.tags)
            self.signatures = {key: Signature(value) for key, value in loaded.signature_def.items()}
        except StatusError:
            self.close()
            raise

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], call: Caller = UNHURRIED
    ) -> list[Array]:
        """See `LoadedModel`. Values go to the graph as they are, and at once."""
        step = self.step(feeds, fetches)
        values = [feeds[name] for name in step.feeds]
        step.check(values)
        return step.run(values)

    def step(self, feeds: Iterable[str], fetches: Iterable[str]) -> Step:
        """How to compute the tensors `fetches` from the tensors `feeds`, all by name.

        Raises:
            StatusError: A name is not in the graph.
        """
        key = tuple(feeds), tuple(fetches)
        step = self._steps.get(key)
        if step is None:
            with self._lock:  # one of many first callers compiles, the others wait for its work
                step = self._steps.get(key) or Step(self._session, sorted(key[0]), key[1])
                self._steps[key] = step
                if len(self._steps) > _MAX_STEPS:
                    del self._steps[next(iter(self._steps))]
        return step

    def retire(self) -> None:
        """Changes nothing: here nobody waits."""

    def close(self) -> None:
        """Frees the memory. No call may run at that time or come later."""
        self._steps.clear()
        self._session.close()
        del self._session
        gc.collect()  # a graph is full of reference cycles, and frozen weights live in it


def _session_config(options: ServerOptions) -> Any:
    """The threads, by TensorFlow Serving's rule: the two particular numbers go before the general one."""
    within, between = options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism
    if not (within or between):
        within = between = options.tensorflow_session_parallelism
    return config_pb2.ConfigProto(intra_op_parallelism_threads=within, inter_op_parallelism_threads=between)


def _load(session: Any, directory: Path, tags: Sequence[str]) -> Any:
    """Loads by TensorFlow's v1 loader and returns the MetaGraphDef; see `_load_failure` for errors."""
    if not any((directory / name).is_file() for name in _FILES):
        raise not_found(
            "Specified file path does not appear to contain a SavedModel bundle "
            f"(should have a file called `saved_model.pb`)\nSpecified file path: {directory}"
        )
    try:
        with session.graph.as_default():
            return tf.compat.v1.saved_model.load(session, list(tags), str(directory))
    except Exception as error:  # broken files make the loader raise just about anything
        raise _load_failure(error, tags) from error


def _load_failure(error: Exception, tags: Sequence[str]) -> StatusError:
    """The loader's exceptions in the words of TensorFlow's C++ loader, which TensorFlow Serving uses."""
    first = _first_op_error(error)
    if first is not None:
        return StatusError(code_of(first.error_code), first.message)
    if isinstance(error, OSError):  # saved_model.pb is no protobuf
        return StatusError(grpc.StatusCode.OUT_OF_RANGE, "Read less bytes than requested")
    if isinstance(error, RuntimeError) and "tags" in str(error):
        return not_found(
            f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect "
            "available tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`"
        )
    if isinstance(error, ValueError) and "checkpoint" in str(error):
        return not_found(str(error))
    return StatusError(grpc.StatusCode.UNKNOWN, str(error) or type(error).__name__)


def _first_op_error(error: BaseException | None) -> Any:
    """The op's own error: later ones in the chain only wrap it in Python's explanations."""
    first = None
    while error is not None:
        if isinstance(error, tf.errors.OpError):
            first = error
        error = error.__context__
    return first
