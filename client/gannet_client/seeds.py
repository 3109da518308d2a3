"""Seeds: the integers that name images. Image i of a request depends on seed i alone."""

import re
import secrets
from collections.abc import Sequence
from typing import Final

import numpy as np

from gannet_client.checks import MAX_INT64, check_int64
from gannet_client.codec import Array
from gannet_client.errors import UsageError

MAX_SEED: Final = MAX_INT64
MAX_SEEDS: Final = 100_000
"""How many images one call or range expression may name: more is a slip, or would not fit into memory."""

_ITEM: Final = re.compile(r"\s*(-?[0-9]{1,19})\s*(?:-\s*(-?[0-9]{1,19})\s*)?")


def parse_seeds(text: str, *, limit: int = MAX_SEEDS) -> list[int]:
    """Reads seeds as the command line takes them: numbers and inclusive ranges, in the order given.

    Args:
        text: For example `"0-3,7,10-12"`; negative numbers are welcome: `"-2-1"`, `"-5--3"`.
        limit: The largest number of seeds.

    Returns:
        Every seed, repeated ones included.

    Raises:
        UsageError: The text is not of this form, a seed does not fit int64, or there are too many.

    >>> parse_seeds("0-3,7,-2--1")
    [0, 1, 2, 3, 7, -2, -1]
    """
    seeds: list[int] = []
    for item in text.split(","):
        first, last = _parse_item(item, text)
        if len(seeds) + last - first + 1 > limit:
            raise UsageError(f"seeds {text!r} name more than {limit} images; split them into several runs")
        seeds.extend(range(first, last + 1))
    return seeds


def _parse_item(item: str, text: str) -> tuple[int, int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise UsageError(f"seeds {text!r} cannot be read at {item!r}; expected a form like 0-3,7,10-12")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if first > last:
        raise UsageError(f"the range {item!r} of seeds runs backwards; expected the smaller number first")
    return check_int64("seed", first), check_int64("seed", last)


def resolve_seeds(n: int | None, seed: int | None, seeds: Sequence[int] | Array | None) -> Array:
    """The seeds that a call of `generate` means: listed in `seeds`, or `n` from `seed` (None: random) on.

    Returns:
        int64 of shape [n].

    Raises:
        UsageError: The arguments contradict each other, are no integers that fit int64, or name more than
            `MAX_SEEDS` images.

    >>> resolve_seeds(3, 7, None).tolist()
    [7, 8, 9]
    """
    if seeds is not None:
        if n is not None or seed is not None:
            raise UsageError("pass either seeds or n with an optional seed, not both")
        listed = as_seeds(seeds)
        _check_count(len(listed))
        return listed
    numbers = seed_range(n, seed)
    _check_count(len(numbers))
    return numbers.start + np.arange(len(numbers), dtype=np.int64)


def seed_range(n: int | None, seed: int | None) -> range:
    """`n` seeds from `seed` on, or from a random one.

    >>> seed_range(3, 7)
    range(7, 10)
    """
    if n is None:
        raise UsageError("pass how many images to generate (n) or their seeds")
    count = check_int64("n", n, minimum=0)
    first = secrets.randbelow(MAX_SEED + 1 - count) if seed is None else check_int64("seed", seed)
    return range(first, check_int64("the last seed", first + max(count - 1, 0)) + (count > 0))


def as_seeds(seeds: Sequence[int] | Array) -> Array:
    """The seeds as int64 [n].

    Raises:
        UsageError: They are no flat sequence of integers that fit.
    """
    try:
        array = np.asarray(seeds)
    except ValueError:  # rows of different lengths
        array = np.empty((0, 0), object)
    if array.ndim == 1 and array.size == 0:
        return np.empty(0, np.int64)
    too_large = array.dtype == np.uint64 and array.max() > MAX_SEED
    if array.ndim != 1 or array.dtype.kind not in "iu" or too_large:
        raise UsageError(f"seeds must be a flat sequence of integers that fit int64; received {seeds!r:.80}")
    return array.astype(np.int64)


def _check_count(count: int) -> None:
    if count > MAX_SEEDS:
        raise UsageError(
            f"one call draws at most {MAX_SEEDS} images; received {count}; make several calls, or use stream"
        )
