"""Things chosen by name: what is known, and what was probably meant."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from gannet_client.errors import UsageError

Choice = TypeVar("Choice")


def choose(kind: str, name: str, known: Mapping[str, Choice]) -> Choice:
    """Look a name up.

    Args:
        kind: what is chosen, for the message: "model", "data set".
        name: as the user wrote it.
        known: the possible answers.

    Raises:
        UsageError: the name is not known; the message lists all and suggests the nearest.

    Example:
        >>> choose("colour", "blue", {"red": 1, "blue": 2})
        2
    """
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise UsageError(f"unknown {kind} '{name}', expected one of: {', '.join(sorted(known))}{hint}")
