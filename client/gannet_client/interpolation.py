"""Ways between two latent vectors."""

from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from gannet_client.checks import check_int64
from gannet_client.codec import Array
from gannet_client.errors import UsageError
from gannet_client.seeds import MAX_SEEDS

How: TypeAlias = Literal["slerp", "lerp"]
"""Along the arc between the two, or along the straight line."""
HOWS: Final = get_args(How)

_PARALLEL: Final = 1e-6


def between(start: Array, end: Array, steps: int, how: How = "slerp") -> Array:
    """Latent vectors on the way from one to another, both included.

    Standard normal vectors of many dimensions lie close to a sphere. The straight line leaves it, and a
    generator sees lengths in the middle that it was not trained on; the arc (Shoemake, 1985,
    https://doi.org/10.1145/325165.325242) stays.

    Args:
        start: float [Z].
        end: float [Z].
        steps: How many vectors, at least 2.
        how: "slerp" for the arc, "lerp" for the line.

    Returns:
        float32 [steps, Z].

    Raises:
        UsageError: There are fewer than two steps, or no such way.

    >>> between(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 3).round(3).tolist()
    [[1.0, 0.0], [0.7070000171661377, 0.7070000171661377], [0.0, 1.0]]
    """
    check_way(steps, how)
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    there = np.linspace(0.0, 1.0, steps)[:, None]
    angle = _angle(start, end) if how == "slerp" else 0.0
    if np.sin(angle) < _PARALLEL:
        way = (1.0 - there) * start + there * end
    else:
        way = (np.sin((1.0 - there) * angle) * start + np.sin(there * angle) * end) / np.sin(angle)
    way[0], way[-1] = start, end
    latents: Array = way.astype(np.float32)
    return latents


def check_way(steps: int, how: How) -> None:
    """Refuses a way that cannot be gone."""
    if check_int64("steps", steps) < 2:
        raise UsageError(f"an interpolation has at least 2 steps, its ends; received {steps}")
    if steps > MAX_SEEDS:
        raise UsageError(f"one call draws at most {MAX_SEEDS} images; received {steps} steps")
    if how not in HOWS:
        raise UsageError(f"how must be one of {', '.join(HOWS)}; received {how!r}")


def _angle(start: Array, end: Array) -> float:
    lengths = np.linalg.norm(start) * np.linalg.norm(end)
    return float(np.arccos(np.clip(start @ end / lengths, -1.0, 1.0))) if lengths else 0.0
