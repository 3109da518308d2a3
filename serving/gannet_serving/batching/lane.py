"""What becomes of a batch: its tasks are merged, computed and split again, and none harms another."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gannet_client.codec import Array
from gannet_serving.batching.merging import merge, merging_key, split
from gannet_serving.batching.parameters import BatchingParameters
from gannet_serving.batching.queue import Member, Queue
from gannet_serving.batching.tasks import Task
from gannet_serving.callers import require_time_left
from gannet_serving.status import StatusError

if TYPE_CHECKING:
    from gannet_serving.step import Step


@dataclass(frozen=True)
class LaneName:
    """Whose requests are merged.

    Attributes:
        model: The model's name.
        version: The version's number.
        signature: The first signature that has these inputs and outputs; empty if none has them all.
    """

    model: str
    version: int
    signature: str


@dataclass(frozen=True)
class BatchRun:
    """A batch that is about to be computed.

    Attributes:
        name: Whose it is.
        requests: How many requests, or parts of large ones, it has.
        rows: How many rows these have.
        padding: How many rows were added to reach an allowed size.
        waited: For each of the requests, the seconds that it spent in the queue.
    """

    name: LaneName
    requests: int
    rows: int
    padding: int
    waited: tuple[float, ...]


Observer = Callable[[BatchRun], None]
"""Is told of each batch, in the thread that runs it. Must not raise."""


class Lane:
    """The requests for one set of outputs of one set of inputs of one version.

    Attributes:
        name: Whose they are.
        step: What they compute.
        queue: Where they wait.
    """

    def __init__(
        self, name: LaneName, step: "Step", parameters: BatchingParameters, member: Member, observe: Observer
    ) -> None:
        self.name = name
        self.step = step
        self.queue = Queue(member, parameters, self.run)
        self._parameters = parameters
        self._observe = observe

    def run(self, tasks: Sequence[Task]) -> None:
        """Answers each task, those whose shapes fit together from one computation."""
        groups: dict[object, list[Task]] = {}
        for task in tasks:
            if _is_wanted(task):
                groups.setdefault(self._merging_key(task), []).append(task)
        for group in groups.values():
            self._run_group(group)

    def compute(self, values: Sequence[Sequence[Array]], sizes: Sequence[int]) -> list[Sequence[Array]]:
        """The outputs that belong to each of several lists of inputs, from one run.

        Args:
            values: For each its inputs, which have the same merging key.
            sizes: For each the number of rows.

        Raises:
            StatusError: The run failed, or the model does not keep to its rows.
        """
        size = self._parameters.padded(sum(sizes))
        merged = [merge(column, size) for column in zip(*values, strict=True)]
        outputs = [split(output, sizes, size) for output in self.step.run(merged)]
        return [[output[index] for output in outputs] for index in range(len(sizes))]

    def _run_group(self, tasks: Sequence[Task]) -> None:
        sizes = [task.rows for task in tasks]
        self._report(tasks, sum(sizes))
        try:
            answers = self.compute([task.values for task in tasks], sizes)
        except Exception as error:  # whatever it is, it must reach those who wait
            if len(tasks) == 1:
                tasks[0].answer(error)
            else:  # one of them is to blame, and only that one is to suffer
                for task in tasks:
                    self.run([task])
        else:
            for task, answer in zip(tasks, answers, strict=True):
                task.answer(answer)

    def _merging_key(self, task: Task) -> object:
        filling = self._parameters.pad_variable_length_inputs
        return tuple(
            merging_key(value, shape, filling=filling)
            for value, shape in zip(task.values, self.step.shapes, strict=True)
        )

    def _report(self, tasks: Sequence[Task], rows: int) -> None:
        now = time.monotonic()
        waited = tuple(now - task.since for task in tasks)
        padding = self._parameters.padded(rows) - rows
        self._observe(BatchRun(self.name, len(tasks), rows, padding, waited))


def _is_wanted(task: Task) -> bool:
    try:
        require_time_left(task.call)
    except StatusError as error:
        task.answer(error)
        return False
    return True
