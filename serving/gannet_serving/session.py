"""A SavedModel in a v1 Session, which is how TensorFlow Serving runs one.

This is the only file that knows `Session._make_callable_from_options`: a private name, chosen because it
alone casts nothing and checks no shapes, and so lets the kernels answer in TensorFlow Serving's words.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from gannet_serving.batching.merging import Shape
from gannet_serving.callers import UNHURRIED, Caller, require_time_left
from gannet_serving.options import ServerOptions
from gannet_serving.status import StatusError, code_of, invalid, not_found

_FILES = ("saved_model.pb", "saved_model.pbtxt")
_MAX_STEPS = 64
"""Bound on what callers can make the session keep by asking for ever new selections of outputs."""


@dataclass(frozen=True)
class Step:
    """What a session computes in one go, compiled. Values stand in the order of `feeds`.

    Attributes:
        feeds: Names of the tensors to feed.
        fetches: Names of the tensors that come out.
        shapes: Those of `feeds` in the graph: None where any size or any number of dimensions will do.
    """

    feeds: tuple[str, ...]
    fetches: tuple[str, ...]
    shapes: tuple[Shape | None, ...]
    _dtypes: tuple[int, ...]
    _call: Any

    def check(self, values: Sequence[Array]) -> None:
        """Refuses values that are not of the graph's dtypes.

        Raises:
            StatusError: There is one.
        """
        for index, (number, value) in enumerate(zip(self._dtypes, values, strict=True)):
            received = tf.as_dtype(value.dtype).as_datatype_enum
            if received != number:
                text = f"{_dtype_text(number)} but {_dtype_text(received)} is provided"
                raise invalid(f"Expects arg[{index}] to be {text}")

    def run(self, values: Sequence[Array]) -> list[Array]:
        """Computes from values that were checked.

        Raises:
            StatusError: An op failed.
        """
        with _op_errors():
            return [_as_array(value) for value in self._call(*values)]


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
        self._steps: dict[tuple[tuple[str, ...], tuple[str, ...]], Step] = {}
        self._lock = Lock()
        try:
            self.signatures: dict[str, Any] = dict(
                _load(self._session, directory, options.tags).signature_def
            )
        except StatusError:
            self.close()
            raise

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], call: Caller = UNHURRIED
    ) -> list[Array]:
        """See `LoadedModel`; values go to the graph as they are."""
        step = self.step(feeds, fetches)
        values = [feeds[name] for name in step.feeds]
        step.check(values)
        require_time_left(call)
        return step.run(values)

    def step(self, feeds: Iterable[str], fetches: Iterable[str]) -> Step:
        """How to compute the tensors `fetches` from the tensors `feeds`, all by name.

        Raises:
            StatusError: A name is not in the graph.
        """
        key = tuple(sorted(feeds)), tuple(fetches)
        step = self._steps.get(key)
        if step is None:
            with self._lock:  # one of many first callers compiles, the others wait for its work
                step = self._steps.get(key) or self._compile(*key)
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

    def _compile(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Step:
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        with _op_errors():
            call = self._session._make_callable_from_options(options)
        tensors = [self._session.graph.get_tensor_by_name(name) for name in feeds]
        shapes = tuple(None if tensor.shape.rank is None else tuple(tensor.shape) for tensor in tensors)
        dtypes = tuple(tensor.dtype.base_dtype.as_datatype_enum for tensor in tensors)
        return Step(feeds, fetches, shapes, dtypes, call)


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


def _dtype_text(number: int) -> str:
    """TensorFlow's C++ name of a dtype: `float`, not `float32`."""
    return str(types_pb2.DataType.Name(number)).removeprefix("DT_").lower()


def _as_array(value: Any) -> Array:
    """Scalars leave the session as Python objects; left to guess, NumPy drops a string's last NULs."""
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
