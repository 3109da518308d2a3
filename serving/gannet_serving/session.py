"""A SavedModel in a v1 Session, which is how TensorFlow Serving runs one.

This is the only file that knows `Session._make_callable_from_options`: a private name, chosen because it
alone casts nothing and checks no shapes, and so lets the kernels answer in TensorFlow Serving's words.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2

from gannet_client.codec import Array
from gannet_serving.options import ServerOptions
from gannet_serving.status import StatusError, code_of, invalid, not_found

_FILES = ("saved_model.pb", "saved_model.pbtxt")
_MAX_RUNNERS = 64
"""Bound on what callers can make the session keep by asking for ever new selections of outputs."""


@dataclass(frozen=True)
class _Runner:
    """A compiled step: feed dtypes and values stand in the sorted order of the feeds' names."""

    call: Any
    dtypes: tuple[int, ...]


class ModelSession:
    """One loaded SavedModel. Safe to use from many threads until it is closed.

    Attributes:
        signatures: The model's SignatureDef messages by key, as TensorFlow Serving shows them.
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
        self._runners: dict[tuple[tuple[str, ...], tuple[str, ...]], _Runner] = {}
        self._lock = Lock()
        try:
            self.signatures: dict[str, Any] = dict(
                _load(self._session, directory, options.tags).signature_def
            )
        except StatusError:
            self.close()
            raise

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        """Computes the tensors `fetches` from the tensors `feeds`.

        Args:
            feeds: Values by tensor name (`serving_default_noise:0`), of exactly the graph's dtypes.
            fetches: Names of the tensors to compute.

        Returns:
            One array per name in `fetches`, in that order.

        Raises:
            StatusError: A dtype differs from the graph's, a name is not in the graph, or an op failed.
        """
        names = tuple(sorted(feeds))
        with _op_errors():
            runner = self._runner(names, tuple(fetches))
            _check_dtypes(runner.dtypes, [feeds[name] for name in names])
            values = runner.call(*(feeds[name] for name in names))
        return [_as_array(value) for value in values]

    def close(self) -> None:
        """Frees the memory. No call may run at that time or come later."""
        self._runners.clear()
        self._session.close()
        del self._session
        gc.collect()  # a graph is full of reference cycles, and frozen weights live in it

    def _runner(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> _Runner:
        key = feeds, fetches
        runner = self._runners.get(key)
        if runner is None:
            with self._lock:  # one of many first callers compiles, the others wait for its work
                runner = self._runners.get(key) or self._compile(*key)
                self._runners[key] = runner
                if len(self._runners) > _MAX_RUNNERS:
                    del self._runners[next(iter(self._runners))]
        return runner

    def _compile(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> _Runner:
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        call = self._session._make_callable_from_options(options)
        graph = self._session.graph
        dtypes = tuple(graph.get_tensor_by_name(name).dtype.base_dtype.as_datatype_enum for name in feeds)
        return _Runner(call, dtypes)


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


@contextmanager
def _op_errors() -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise StatusError(code_of(error.error_code), error.message) from None


def _check_dtypes(expected: Sequence[int], arrays: Sequence[Array]) -> None:
    for index, (number, array) in enumerate(zip(expected, arrays, strict=True)):
        received = tf.as_dtype(array.dtype).as_datatype_enum
        if received != number:
            raise invalid(
                f"Expects arg[{index}] to be {_dtype_text(number)} but {_dtype_text(received)} is provided"
            )


def _dtype_text(number: int) -> str:
    """TensorFlow's C++ name of a dtype: `float`, not `float32`."""
    return str(types_pb2.DataType.Name(number)).removeprefix("DT_").lower()


def _as_array(value: Any) -> Array:
    """Scalars leave the session as Python objects; left to guess, NumPy drops a string's last NULs."""
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
