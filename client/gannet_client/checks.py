"""What an argument has to be, in one line where it is not."""

import math
import operator
from typing import Final, SupportsIndex

from gannet_client.errors import UsageError

MIN_INT64: Final = -(2**63)
MAX_INT64: Final = 2**63 - 1


def check_int64(name: str, value: SupportsIndex, *, minimum: int = MIN_INT64) -> int:
    """The value as a Python integer; whatever else than an integer that fits is a UsageError naming `name`.

    >>> check_int64("n", 3)
    3
    """
    return check_range(name, value, minimum, MAX_INT64)


def check_range(name: str, value: SupportsIndex, least: int, most: int) -> int:
    """The value as a Python integer, which has to be from `least` to `most`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise UsageError(f"{name} must be an integer; received {value!r}") from None
    if not least <= number <= most:
        raise UsageError(f"{name} must be an integer from {least} to {most}; received {number}")
    return number


def check_seconds(name: str, value: float) -> float:
    """The value, if it is a positive number of seconds."""
    if isinstance(value, bool) or not (isinstance(value, int | float) and 0 < value < math.inf):
        raise UsageError(f"{name} must be a positive number of seconds; received {value!r}")
    return float(value)


def check_text(name: str, value: str) -> str:
    """The value; whatever else than text that UTF-8 can write is a UsageError naming `name`.

    A byte of the command line that is no UTF-8 arrives as half of a character, which cannot be sent.
    """
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        raise UsageError(f"{name} must be text that can be written as UTF-8; received {value!r}") from None
    return value


def check_name(name: str) -> str:
    """The name of a model, which is text and not empty."""
    if not name:
        raise UsageError(f"model must be the name of a served model; received {name!r}")
    return check_text("model", name)
