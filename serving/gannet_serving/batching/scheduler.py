"""The threads that run batches, shared by the queues of all models."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from threading import Condition, Lock, Thread

from gannet_client.codec import Array
from gannet_serving.batching.queue import Member, Queue
from gannet_serving.batching.tasks import Task
from gannet_serving.callers import Caller

_Ready = tuple[Queue, list[Task]]


class Scheduler:
    """Takes batches from the queues in turn. Its threads live while it has members."""

    def __init__(self, threads: int, name: str) -> None:
        """Starts nothing yet.

        Args:
            threads: How many batches run at once.
            name: What the names of the threads begin with.
        """
        self._size = threads
        self._name = name
        self._lock = Lock()
        self._work_there = Condition(self._lock)  # apart: a task wakes one of those who wait for work, and
        self._work_done = Condition(self._lock)  # must not wake one who waits for an end in its place
        self._busy: deque[Queue] = deque()
        self._members = 0
        self._alive = 0

    def join(self) -> Member:
        """Begins to serve a member's queues."""
        with self._lock:
            self._members += 1
            for number in range(self._alive, self._size):
                Thread(target=self._work, name=f"{self._name}_{number}", daemon=True).start()
            self._alive = self._size
        return Member()

    def hurry(self, member: Member) -> None:
        """Runs what waits in the member's queues, at once."""
        with self._lock:
            member.is_leaving = True
            self._work_there.notify_all()

    def leave(self, member: Member) -> None:
        """Runs what waits in the member's queues, at once, and returns when all of it has ended."""
        self.hurry(member)
        with self._lock:
            self._work_done.wait_for(lambda: not member.pending)
            self._members -= 1
            self._work_there.notify_all()

    def put(self, queue: Queue, values: Sequence[Array], rows: int, call: Caller) -> list[Task]:
        """Adds a request to a queue; see there."""
        with self._lock:
            tasks = queue.put(values, rows, call)
            queue.member.pending += len(tasks)
            if queue not in self._busy:
                self._busy.append(queue)
            self._work_there.notify()
        return tasks

    def drop(self, queue: Queue, tasks: Iterable[Task]) -> None:
        """Takes out those tasks that do not run yet: nobody waits for them any more."""
        with self._lock:
            self._forget(queue.member, sum(map(queue.drop, tasks)))

    def lengths(self, queues: Iterable[Queue]) -> list[int]:
        """How many tasks wait in each of the queues."""
        with self._lock:
            return [len(queue) for queue in queues]

    def _work(self) -> None:
        ready = None
        while ready := self._next(ready):
            queue, tasks = ready
            queue.run(tasks)

    def _next(self, done: _Ready | None) -> _Ready | None:
        """Waits for a batch; None once there are no members."""
        with self._lock:
            if done:
                self._forget(done[0].member, len(done[1]))
            while not (ready := self._find()):
                if not self._members:
                    self._alive -= 1
                    return None
                self._work_there.wait(self._patience())
            if self._busy:
                self._work_there.notify()  # whoever wakes looks after them while this batch runs
            return ready

    def _find(self) -> _Ready | None:
        """The first batch that is ready. Its queue goes to the end of the line."""
        now = time.monotonic()
        for _ in range(len(self._busy)):
            queue = self._busy.popleft()
            tasks = queue.take(now)
            if len(queue):
                self._busy.append(queue)
            if tasks is not None:
                return queue, tasks
        return None

    def _patience(self) -> float | None:
        """Seconds until a batch is ready, if no task comes before."""
        if not self._busy:
            return None
        due = min(queue.ready_at() for queue in self._busy)
        return min(max(due - time.monotonic(), 0.0), threading.TIMEOUT_MAX)

    def _forget(self, member: Member, count: int) -> None:
        member.pending -= count
        if member.is_leaving:
            self._work_done.notify_all()
