"""What a session computes in one go, compiled.

This is the only file that knows `Session._make_callable_from_options`: a private name, chosen because it
alone casts nothing and checks no shapes, and so lets the kernels answer in TensorFlow Serving's words.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2

from gannet_client.codec import Array
from gannet_serving.batching.merging import Shape
from gannet_serving.status import StatusError, code_of, invalid

_IN_POOL, _IN_CALLER = 0, -1
"""TensorFlow's numbers for the threads that run a step's ops."""
_QUICK_SECONDS = 5e-4
"""Beyond this, ops that run side by side are worth more than the change of threads that it takes."""


class Step:
    """The tensors `fetches` from the tensors `feeds`. Safe to use from many threads.

    A quick step runs in the thread that asks for it: to hand a run to TensorFlow's threads and to wait for it
    costs several times as much of the processor as a small network does. A run that keeps its thread busy for
    longer sends all later ones to those threads, where ops run side by side.

    Attributes:
        feeds: Names of the tensors to feed; values stand in this order.
        fetches: Names of the tensors that come out.
        shapes: Those of `feeds` in the graph: None where any size or any number of dimensions will do.
    """

    def __init__(self, session: Any, feeds: Sequence[str], fetches: Sequence[str]) -> None:
        """Compiles.

        Args:
            session: A v1 Session.
            feeds: Names of tensors.
            fetches: Names of tensors.

        Raises:
            StatusError: A name is not in the graph.
        """
        self.feeds, self.fetches = tuple(feeds), tuple(fetches)
        self._session = session
        self._call = self._compiled(_IN_CALLER)
        self._run: Callable[[Sequence[Array]], Any] = self._run_first
        tensors = [session.graph.get_tensor_by_name(name) for name in feeds]
        self.shapes: tuple[Shape | None, ...] = tuple(
            None if tensor.shape.rank is None else tuple(tensor.shape) for tensor in tensors
        )
        self._dtypes = [tensor.dtype.base_dtype for tensor in tensors]
        self._stored = [_stored(dtype) for dtype in self._dtypes]

    def check(self, values: Sequence[Array]) -> None:
        """Refuses values that are not of the graph's dtypes.

        Raises:
            StatusError: There is one.
        """
        for index, (value, stored) in enumerate(zip(values, self._stored, strict=True)):
            if value.dtype is not stored and value.dtype != stored:
                received = tf.as_dtype(value.dtype)
                raise invalid(
                    f"Expects arg[{index}] to be {_dtype_text(self._dtypes[index])} "
                    f"but {_dtype_text(received)} is provided"
                )

    def run(self, values: Sequence[Array]) -> list[Array]:
        """Computes from values that were checked.

        Returns:
            One array for each of `fetches`.

        Raises:
            StatusError: An op failed.
        """
        try:
            return [_as_array(output) for output in self._run(values)]
        except tf.errors.OpError as error:
            raise _refusal(error) from None

    def _run_first(self, values: Sequence[Array]) -> Any:
        outputs = self._call(*values)
        self._run = self._run_quick  # whatever it took: a first run does what later ones need not
        return outputs

    def _run_quick(self, values: Sequence[Array]) -> Any:
        begin = time.perf_counter()
        outputs = self._call(*values)
        if time.perf_counter() - begin > _QUICK_SECONDS:  # or it had to wait for its turn, so look closely
            self._run = self._run_measured
        return outputs

    def _run_measured(self, values: Sequence[Array]) -> Any:
        begin = time.thread_time()
        outputs = self._call(*values)
        if time.thread_time() - begin > _QUICK_SECONDS:
            self._call = self._compiled(_IN_POOL)
            self._run = self._run_long
        else:
            self._run = self._run_quick
        return outputs

    def _run_long(self, values: Sequence[Array]) -> Any:
        return self._call(*values)

    def _compiled(self, pool: int) -> Any:
        options = config_pb2.CallableOptions(feed=self.feeds, fetch=self.fetches)
        options.run_options.inter_op_thread_pool = pool
        try:
            return self._session._make_callable_from_options(options)
        except tf.errors.OpError as error:
            raise _refusal(error) from None


def _stored(dtype: Any) -> Any:
    """NumPy's dtype for it; None where no array holds it."""
    return None if dtype in (tf.resource, tf.variant) else np.dtype(dtype.as_numpy_dtype)


def _refusal(error: Any) -> StatusError:
    return StatusError(code_of(error.error_code), error.message)


def _dtype_text(dtype: Any) -> str:
    """TensorFlow's C++ name of a dtype: `float`, not `float32`."""
    return str(types_pb2.DataType.Name(dtype.as_datatype_enum)).removeprefix("DT_").lower()


def _as_array(value: Any) -> Array:
    """Scalars leave the session as Python objects; left to guess, NumPy drops a string's last NULs."""
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
