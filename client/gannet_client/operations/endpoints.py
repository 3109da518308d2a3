"""Which of several servers is asked next: each in turn, without those that were found dead."""

import random
import time
from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Final

from gannet_client.operations.budget import Budget

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0


class Endpoints:
    """The addresses of servers that serve the same models.

    Safe to share between threads, and to be forked, without a lock: a count that is lost does no harm.

    One that cannot be reached is left out for half a second, and for twice as long each further time; then
    one request tries it again.

    Attributes:
        targets: The addresses.
        budget: What repeats to them have cost.

    Args:
        targets: The addresses, at least one.
        clock: Seconds that never run backwards.

    >>> endpoints = Endpoints(["a:1", "b:1"], clock=lambda: 0.0)
    >>> endpoints.failed("a:1")
    >>> [endpoints.next() for _ in range(3)]
    ['b:1', 'b:1', 'b:1']
    """

    def __init__(self, targets: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.targets = tuple(targets)
        self.budget = Budget()
        self._clock = clock
        self._turns = count(
            random.randrange(max(len(self.targets), 1))
        )  # short-lived clients share the load too
        self._failures = dict.fromkeys(self.targets, 0)
        self._out_until = dict.fromkeys(self.targets, 0.0)

    def next(self, tried: Collection[str] = ()) -> str:
        """The address to ask now: the next in turn that is in, rather one that was not `tried`.

        Where all are out, it is the one that comes back first.
        """
        if len(self.targets) == 1:
            return self.targets[0]
        now, turn = self._clock(), next(self._turns) % len(self.targets)
        order = (*self.targets[turn:], *self.targets[:turn])
        chosen = min(order, key=lambda target: (max(self._out_until[target] - now, 0.0), target in tried))
        if self._failures[chosen]:  # one request tries it, the others wait for what comes of that
            self._out_until[chosen] = now + _pause(self._failures[chosen])
        return chosen

    def has_other(self, tried: Collection[str]) -> bool:
        """Whether another than those `tried` is in."""
        now = self._clock()
        return any(self._out_until[target] <= now for target in self.targets if target not in tried)

    def failed(self, target: str) -> None:
        """Nothing answered at this address."""
        self._failures[target] += 1
        self._out_until[target] = self._clock() + _pause(self._failures[target])

    def answered(self, target: str) -> None:
        """Something did, were it an error."""
        if self._failures[target]:
            self._failures[target] = 0
            self._out_until[target] = 0.0


def _pause(failures: int) -> float:
    return min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE)
