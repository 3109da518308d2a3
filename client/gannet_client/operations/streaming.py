"""Images without end: seeds that are read as they are needed, and the conditions that go with them."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Final

import numpy as np

from gannet_client.errors import UsageError
from gannet_client.operations.rows import Format, Wish
from gannet_client.seeds import as_seeds, seed_range

_RANK_OF_ONE: Final = {"classes": 0, "truncation": 0, "codes": 1}
"""The rank of an option that is the same for all images."""


class Stream:
    """What a caller of `stream` wants drawn.

    Attributes:
        format: What an image comes as.

    Args:
        n: How many images; any number.
        seed: The first seed; None: random.
        seeds: In place of both: any iterable of seeds, which is read as far as it is needed.
        format: What an image comes as.
        options: `classes`, `truncation` and `codes`: one for all images, or an iterable of one for each.

    Raises:
        UsageError: The arguments contradict each other.

    >>> stream = Stream(None, None, iter([7, 8, 9]), "pixels", classes=["cat", "dog", "cat"])
    >>> [wish.classes for wish in stream.wishes(2)]
    [['cat', 'dog'], ['cat']]
    """

    def __init__(
        self,
        n: int | None,
        seed: int | None,
        seeds: Iterable[int] | None,
        format: Format,  # noqa: A002
        **options: Any,
    ) -> None:
        if seeds is not None and (n is not None or seed is not None):
            raise UsageError("pass either seeds or n with an optional seed, not both")
        if isinstance(seeds, str) or not isinstance(seeds, Iterable | None):
            raise UsageError(f"seeds must be an iterable of integers; received {seeds!r:.80}")
        self._seeds = seed_range(n, seed) if seeds is None else seeds
        self._for_all = {name: value for name, value in options.items() if _is_for_all(name, value)}
        self._of_each = {name: value for name, value in options.items() if name not in self._for_all}
        self.format: Format = Wish(format=format).format
        for name, value in self._of_each.items():
            _check_length(name, value, self._seeds)

    def wishes(self, rows: int) -> Iterator[Wish]:
        """The wishes for `rows` images each; the last may be for fewer. They can be read once."""
        seeds = iter(self._seeds)
        each = {name: iter(values) for name, values in self._of_each.items()}
        while taken := list(islice(seeds, rows)):
            conditions: dict[str, Any] = {
                name: _take(name, values, len(taken)) for name, values in each.items()
            }
            yield Wish(as_seeds(taken), format=self.format, **self._for_all, **conditions)


def _is_for_all(name: str, value: Any) -> bool:
    if value is None or isinstance(value, str) or not isinstance(value, Iterable):
        return True
    try:
        return isinstance(value, Sequence | np.ndarray) and np.ndim(value) == _RANK_OF_ONE[name]
    except ValueError:
        raise UsageError(f"{name} must be as long for each image; received {value!r:.80}") from None


def _check_length(name: str, values: Iterable[Any], seeds: Iterable[int]) -> None:
    if isinstance(values, Sized) and isinstance(seeds, Sized) and len(values) != len(seeds):
        raise UsageError(
            f"{name} must be one for all {len(seeds)} images or one for each; received {len(values)}"
        )


def _take(name: str, values: Iterator[Any], count: int) -> list[Any]:
    taken = list(islice(values, count))
    if len(taken) < count:
        raise UsageError(f"{name} ended before the seeds did; pass one for each, or one for all")
    return taken
