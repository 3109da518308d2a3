"""How many requests may be repeated while a server is in trouble."""

from typing import Final

_A_REPEAT: Final = 10
_AN_ANSWER: Final = 1


class Budget:
    """What repeats have cost: ten for each, of which an answer gives one back.

    While a server answers, one request of ten may be repeated for ever; while it does not, repeats come to
    an end, however many calls there are, and what it has to bear is its calls alone.

    Safe to share between threads, and to be forked, without a lock: a count that is lost does no harm.

    >>> budget = Budget()
    >>> [budget.spend(4) for _ in range(4)]
    [True, True, True, False]
    """

    def __init__(self) -> None:
        self._spent = 0

    def spend(self, repeats: float) -> bool:
        """Takes one repeat from a budget of so many; False if less than half of it is left."""
        if self._spent * 2 > repeats * _A_REPEAT:
            return False
        self._spent += _A_REPEAT
        return True

    def answered(self) -> None:
        """Gives back a tenth of a repeat."""
        self._spent = max(self._spent - _AN_ANSWER, 0)
