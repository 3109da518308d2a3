"""What the processes of a job do together, once TensorFlow has connected them."""

import contextlib
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gannet_client.errors import GannetError, UsageError
from gannet_client.signals import ending_signals
from gannet_training.cluster import Task, require_cluster
from gannet_training.rendezvous import differences, unequal

_PROBE_SECONDS = 2.0
_LOSSES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)
"""What an operation between processes raises when one of them is gone."""

log = logging.getLogger(__name__)

MakeBatches = Callable[[tuple[int, int]], tf.data.Dataset]
"""From (index, count) to that part of every batch."""


class WorkerLost(GannetError):
    """Another process of the job ended, so that this one cannot go on."""


class Workers:
    """The processes that train one model: this one alone, unless the strategy is of several workers.

    All of them run the same code, callbacks included, because much of it (a step, reading a measure) is an
    operation that ends only when everybody takes part. What differs is where they write, see
    :class:`gannet_training.elsewhere.RunElsewhere`.

    Args:
        strategy: that trains.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self._cluster = require_cluster() if several else None

    @property
    def is_alone(self) -> bool:
        """Whether there are no others."""
        return self._cluster is None

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self._cluster is None or self._cluster.is_chief

    def share(self, batches: MakeBatches) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """Make batches of which each process computes its own rows alone.

        Args:
            batches: makes a part of every batch; all parts in their order are the global batch.
        """
        if self._cluster is None:
            return batches((0, 1))

        def of_this_process(context: tf.distribute.InputContext) -> tf.data.Dataset:
            part = batches((context.input_pipeline_id, context.num_input_pipelines))
            rows = int(tf.nest.flatten(part.element_spec)[0].shape[0])
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            # One element per replica. Endless, or TensorFlow would ask all workers at every step for the end.
            return (part if replicas == 1 else part.rebatch(rows // replicas)).repeat()

        return self._strategy.distribute_datasets_from_function(of_this_process)

    def wait(self) -> None:
        """Wait until every process has come here."""
        self._sum(tf.constant(0, tf.int64))

    def all_of(self, value: int) -> list[int]:
        """Exchange one number; the same list, by rank, in every process."""
        if self._cluster is None:
            return [value]
        mine = np.zeros(len(self._cluster.tasks), np.int64)
        mine[self._cluster.rank] = value
        return [int(number) for number in self._sum(tf.constant(mine))]

    def from_chief(self, value: Any) -> Any:
        """Give every process the value that the chief has: what JSON can express, NaN among it."""
        return self._from(0, value)

    def _from(self, rank: int, value: Any) -> Any:
        if self._cluster is None:
            return value
        is_source = self._cluster.rank == rank
        mine = np.frombuffer(json.dumps(value).encode() if is_source else b"", np.uint8)
        length = self.all_of(len(mine))[rank]
        text = self._sum(tf.constant(mine if is_source else np.zeros(length), tf.int32))
        return json.loads(text.numpy().astype(np.uint8).tobytes())

    def require_same(self, what: str, facts: Callable[[], dict[str, Any]]) -> None:
        """Refuse workers that do not know the same, each of them with the same line.

        Args:
            what: they know.
            facts: by name, what JSON can express; asked for if there are several workers.

        Raises:
            UsageError: naming the first worker that differs from the chief, and in what.
        """
        if self._cluster is None:
            return
        mine = json.loads(json.dumps(facts()))
        found = differences(self.from_chief(mine), mine)
        odd = [rank for rank, count in enumerate(self.all_of(len(found))) if count]
        if odd:
            raise UsageError(unequal(self._cluster, odd[0], what, self._from(odd[0], found)))

    @contextlib.contextmanager
    def chief_first(self) -> Iterator[None]:
        """Run a block in the chief, and when it is done in all others."""
        if not self.is_chief:
            self.wait()
        yield
        if self.is_chief:
            self.wait()

    def take_from_chief(self, variables: Iterable[keras.Variable]) -> None:
        """Give the variables of every process the values that they have in the chief."""
        if self._cluster is None:
            return
        for variable in variables:
            value = np.asarray(variable)
            mine = value if self.is_chief else np.zeros_like(value)
            variable.assign(self._sum(tf.constant(mine)))

    def _sum(self, value: tf.Tensor) -> tf.Tensor:
        return value if self._cluster is None else self._strategy.reduce("SUM", value, axis=None)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Say in one line when the block fails because another process is gone.

        Raises:
            WorkerLost: it is, naming those that no longer answer.
        """
        try:
            yield
        except _LOSSES as error:
            if self._cluster is None:
                raise
            raise WorkerLost(
                f"lost {', '.join(_gone(self._cluster.others)) or 'another worker'}; see its log, then give "
                "every worker the same command again: training goes on from the last checkpoint"
            ) from error

    @contextlib.contextmanager
    def stopping(self) -> Iterator[keras.callbacks.Callback]:
        """Let Ctrl-C, SIGTERM or SIGHUP in one process stop all of them after the same step.

        After the last step of an epoch, that is when the epoch was judged. A second signal does not wait.

        Yields:
            A callback for `fit`, to come last, which raises KeyboardInterrupt in every process.
        """
        callback = _StopTogether(self)
        with callback.listening():
            yield callback


class Agreement(keras.callbacks.Callback):
    """Gives every process the chief's measures of an epoch, so that all decide the same upon them.

    Speeds differ between processes, and pictures in their last bits.

    Args:
        workers: that train.
    """

    def __init__(self, workers: Workers) -> None:
        super().__init__()
        self._workers = workers

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take the chief's."""
        if logs is not None:
            logs.update(self._workers.from_chief({name: float(value) for name, value in logs.items()}))


class _StopTogether(keras.callbacks.Callback):
    def __init__(self, workers: Workers) -> None:
        super().__init__()
        self._workers = workers
        self._asked = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # Python gives signals to its main thread alone
            return
        asking = (signal.SIGINT, *ending_signals())
        before = {number: signal.signal(number, self._ask) for number in asking}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        # Whoever asks twice does not want to wait for anything, above all not for other processes; but a
        # terminal that is closed hangs up more than once.
        if number != signal.SIGHUP:
            signal.signal(number, signal.default_int_handler if self._workers.is_alone else signal.SIG_DFL)

    def on_train_batch_end(self, batch: int, logs: dict[str, object] | None = None) -> None:
        is_last = batch + 1 == self.params["steps"] or self.model.stop_training
        if not is_last:
            self._stop_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict[str, object] | None = None) -> None:
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if any(self._workers.all_of(self._asked)):
            raise KeyboardInterrupt


def _gone(tasks: tuple[Task, ...]) -> list[str]:
    """Who no longer answers; the port of a process that was just killed may still do so for a moment."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while True:
        gone = [task.name for task in tasks if not _answers(task)]
        if gone or time.monotonic() > deadline:
            return gone
        time.sleep(_PROBE_SECONDS / 20)


def _answers(task: Task) -> bool:
    try:
        socket.create_connection(task.host_and_port, _PROBE_SECONDS).close()
    except OSError:
        return False
    return True
