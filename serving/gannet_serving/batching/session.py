"""A loaded model whose requests are merged."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from gannet_client.codec import Array
from gannet_serving.batching.lane import Lane, LaneName, Observer
from gannet_serving.batching.merging import count_rows
from gannet_serving.batching.parameters import BatchingParameters
from gannet_serving.batching.scheduler import Scheduler
from gannet_serving.callers import UNHURRIED, Caller
from gannet_serving.status import invalid
from gannet_serving.versions import Version

if TYPE_CHECKING:
    from gannet_serving.session import ModelSession

_MAX_LANES = 64
"""Bound on what callers can make the session keep by asking for ever new selections of outputs."""


class BatchingSession:
    """A `LoadedModel` that runs what several callers ask for in one go."""

    def __init__(
        self,
        session: "ModelSession",
        version: Version,
        parameters: BatchingParameters,
        scheduler: Scheduler,
        observe: Observer,
    ) -> None:
        """Begins to merge.

        Args:
            session: Computes; closed together with this one.
            version: Which it is.
            parameters: How to merge.
            scheduler: Its threads run the batches.
            observe: Is told of each batch.
        """
        self.signatures = session.signatures
        self._session = session
        self._version = version
        self._parameters = parameters
        self._scheduler = scheduler
        self._observe = observe
        self._member = scheduler.join()
        self._lanes: dict[tuple[frozenset[str], frozenset[str]], Lane] = {}
        self._lock = Lock()

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], call: Caller = UNHURRIED
    ) -> list[Array]:
        """See `LoadedModel`; inputs and outputs are [B, ...], with at most `max_batch_size` rows.

        Without any rows the answer comes at once, of a run of its own.

        Raises:
            StatusError: Further: dimension 0 of inputs or outputs is not that of a batch, or too many wait.
        """
        lane = self._lane(frozenset(feeds), frozenset(fetches))
        values = [feeds[name] for name in lane.step.feeds]
        rows = count_rows(values)
        if rows > self._parameters.max_batch_size:
            raise invalid(
                f"Task size {rows} is larger than maximum input batch size {self._parameters.max_batch_size}"
            )
        lane.step.check(values)
        outputs = self._wait(lane, values, rows, call) if rows else lane.compute([values], [0])[0]
        return [outputs[lane.step.fetches.index(name)] for name in fetches]

    def retire(self) -> None:
        """Runs what waits now, and whatever comes later without waiting for more."""
        self._scheduler.hurry(self._member)

    def close(self) -> None:
        """Frees the memory once what waits has been answered. No call may come later."""
        self._scheduler.leave(self._member)
        self._session.close()

    def queue_lengths(self) -> list[tuple[LaneName, int]]:
        """How many requests, or parts of large ones, wait to be run."""
        with self._lock:
            lanes = list(self._lanes.values())
        lengths = self._scheduler.lengths([lane.queue for lane in lanes])
        return [(lane.name, length) for lane, length in zip(lanes, lengths, strict=True)]

    def _wait(self, lane: Lane, values: Sequence[Array], rows: int, call: Caller) -> Sequence[Array]:
        tasks = self._scheduler.put(lane.queue, values, rows, call)
        try:
            parts = [task.result() for task in tasks]
        except BaseException:
            self._scheduler.drop(lane.queue, tasks)
            raise
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def _lane(self, feeds: frozenset[str], fetches: frozenset[str]) -> Lane:
        lane = self._lanes.get((feeds, fetches))
        if lane is None:
            step = self._session.step(feeds, sorted(fetches))
            with self._lock:
                name = self._name(feeds, fetches)
                made = Lane(name, step, self._parameters, self._member, self._observe)
                lane = self._lanes.setdefault((feeds, fetches), made)
                if len(self._lanes) > _MAX_LANES:
                    del self._lanes[next(iter(self._lanes))]
        return lane

    def _name(self, feeds: frozenset[str], fetches: frozenset[str]) -> LaneName:
        matching = (
            key
            for key, signature in sorted(self.signatures.items())
            if feeds == set(signature.feeds.values()) and fetches <= set(signature.fetches.values())
        )
        return LaneName(self._version.model, self._version.number, next(matching, ""))
