"""What waits to be merged: batches that fill up, within TensorFlow Serving's limits."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import grpc

from gannet_client.codec import Array
from gannet_serving.batching.parameters import BatchingParameters
from gannet_serving.batching.tasks import Task
from gannet_serving.callers import Caller
from gannet_serving.status import StatusError

_FULL = "The batch scheduling queue to which this task was submitted is full; "


class _Batch:
    """Tasks that are to run together, and how many rows they have."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.rows = 0

    def add(self, task: Task) -> None:
        self.tasks.append(task)
        self.rows += task.rows

    def remove(self, task: Task) -> None:
        self.tasks.remove(task)
        self.rows -= task.rows


@dataclass
class Member:
    """Who owns queues: a loaded version.

    Attributes:
        pending: How many of its tasks wait or run.
        is_leaving: Whether its batches no longer wait for more tasks.
    """

    pending: int = 0
    is_leaving: bool = False


class Queue:
    """The batches for one set of inputs and outputs of one version. For one thread at a time.

    The last batch is open for more tasks; those before it are full.

    Attributes:
        member: The version.
        run: Runs the tasks of a batch and answers each; raises nothing.
    """

    def __init__(
        self, member: Member, parameters: BatchingParameters, run: Callable[[list[Task]], None]
    ) -> None:
        self.member = member
        self.run = run
        self._parameters = parameters
        self._size = parameters.execution_size
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._batches = deque([_Batch()])

    def __len__(self) -> int:
        """How many tasks wait."""
        return sum(len(batch.tasks) for batch in self._batches)

    def put(self, values: Sequence[Array], rows: int, call: Caller) -> list[Task]:
        """Adds a request; it becomes several tasks where large ones are split.

        Raises:
            StatusError: UNAVAILABLE, since the queue is full.
        """
        self._require_room(rows)
        cuts = self._cuts(rows)
        if len(cuts) == 2:
            tasks = [Task(values, rows, call)]
        else:
            tasks = [Task([value[a:b] for value in values], b - a, call) for a, b in pairwise(cuts)]
        for task in tasks:
            if self._batches[-1].rows + task.rows > self._size:
                self._batches.append(_Batch())
            self._batches[-1].add(task)
        return tasks

    def take(self, now: float) -> list[Task] | None:
        """The tasks of the first batch, if that is ready at the time `now`."""
        if self.ready_at() > now:
            return None
        if len(self._batches) == 1:
            self._batches.append(_Batch())
        return self._batches.popleft().tasks

    def ready_at(self) -> float:
        """When the first batch is to run, by `time.monotonic`; infinity while there is none."""
        first = self._batches[0]
        if len(self._batches) > 1:
            return 0.0
        if not first.tasks:
            return float("inf")
        if self.member.is_leaving or first.rows >= self._size:
            return 0.0
        return first.tasks[0].since + self._timeout

    def drop(self, task: Task) -> bool:
        """Takes a task out; returns whether it was still there."""
        for batch in self._batches:
            if task in batch.tasks:
                batch.remove(task)
                if not batch.tasks and batch is not self._batches[-1]:
                    self._batches.remove(batch)
                return True
        return False

    def _cuts(self, rows: int) -> list[int]:
        """Where a request is cut: to fill the open batch, then batch by batch."""
        if not self._parameters.enable_large_batch_splitting:
            return [0, rows]
        first = min(self._size - self._batches[-1].rows, rows)
        return [*([0] if first else []), *range(first, rows, self._size), rows]

    def _require_room(self, rows: int) -> None:
        count, open_rows = len(self._batches), self._batches[-1].rows
        most = max(self._parameters.max_enqueued_batches, 1)
        if self._parameters.enable_large_batch_splitting:
            room = (most - count) * self._size + self._size - open_rows
            if rows > room:
                raise StatusError(
                    grpc.StatusCode.UNAVAILABLE,
                    f"{_FULL}task size is {rows} but scheduling capacity is only {room} "
                    f"(num_enqueued_batches={count}, max_enqueued_batches={most}, "
                    f"open_batch_size={open_rows}, max_execution_batch_size={self._size})",
                )
        elif open_rows + rows > self._size and count >= most:
            raise StatusError(
                grpc.StatusCode.UNAVAILABLE,
                f"{_FULL}currently {count} batches enqueued and max_enqueued_batches is {most}",
            )
