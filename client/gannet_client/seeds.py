"""Seeds: the integers that name images. Image i of a request depends on seed i alone."""

import operator
import re
import secrets
from collections.abc import Sequence
from typing import Final, SupportsIndex

import numpy as np

from gannet_client.codec import Array
from gannet_client.errors import UsageError

MIN_SEED: Final = -(2**63)
MAX_SEED: Final = 2**63 - 1
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


def check_int64(name: str, value: SupportsIndex, *, minimum: int = MIN_SEED) -> int:
    """The value as a Python integer; whatever else than an integer that fits is a UsageError naming `name`.

    >>> check_int64("n", np.int32(3))
    3
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise UsageError(f"{name} must be an integer; received {value!r}") from None
    if not minimum <= number <= MAX_SEED:
        raise UsageError(f"{name} must be an integer from {minimum} to {MAX_SEED}; received {number}")
    return number


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
        return _listed_seeds(seeds)
    if n is None:
        raise UsageError("pass how many images to generate (n) or their seeds")
    count = _check_count(check_int64("n", n, minimum=0))
    first = secrets.randbelow(MAX_SEED + 1 - count) if seed is None else check_int64("seed", seed)
    check_int64("the last seed", first + max(count - 1, 0))
    return first + np.arange(count, dtype=np.int64)


def _listed_seeds(seeds: Sequence[int] | Array) -> Array:
    try:
        array = np.asarray(seeds)
    except ValueError:  # rows of different lengths
        array = np.empty((0, 0), object)
    if array.ndim == 1 and array.size == 0:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu" or int(array.max()) > MAX_SEED:
        raise UsageError(f"seeds must be a flat sequence of integers that fit int64; received {seeds!r:.80}")
    _check_count(len(array))
    return array.astype(np.int64)


def _check_count(count: int) -> int:
    if count > MAX_SEEDS:
        raise UsageError(f"one call draws at most {MAX_SEEDS} images; received {count}; make several calls")
    return count
