"""Two-dimensional mixtures on which mode collapse can be counted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

POINTS = 100_000
_SPIRAL_TURNS, _SPIRAL_STD = 1.5, 0.02
_ROLL_STD, _ROLL_SCALE = 0.25, 7.5


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians with equal weights.

    Attributes:
        means: float64 [K, 2].
        std: of every component, in both directions.
    """

    means: np.ndarray
    std: float


_ANGLES = 2 * np.pi * np.arange(8) / 8
_TICKS = np.arange(-4.0, 5.0, 2.0)

RING = Mixture(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1), 0.01)
"""Eight modes on the unit circle (Lin et al., PacGAN, 2018, arXiv:1712.04086)."""
GRID = Mixture(np.stack(np.meshgrid(_TICKS, _TICKS, indexing="ij"), axis=-1).reshape(-1, 2), 0.05)
"""Twenty-five modes on {-4, -2, 0, 2, 4} squared (the same)."""

Points = tuple[np.ndarray, np.ndarray | None]


def mixture_points(mixture: Mixture, seed: int = 0, count: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Draw points of a mixture, for ever the same for the same seed.

    Args:
        mixture: what to draw from.
        seed: of the points.
        count: how many.

    Returns:
        The points, float32 [count, 2], and the component of each, int64 [count].

    Example:
        >>> points, modes = mixture_points(RING)
        >>> points.shape, bool(np.abs(points - RING.means[modes]).max() < 0.06)
        ((100000, 2), True)
    """
    random = np.random.RandomState(seed)  # its stream is frozen, that of NumPy's newer generators is not
    modes = random.randint(len(mixture.means), size=count, dtype=np.int64)
    points = mixture.means[modes] + mixture.std * random.standard_normal([count, 2])
    return points.astype(np.float32), modes


def spiral_points(seed: int = 0, count: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Draw points of two spiral arms, each 1.5 turns from the centre to the unit circle.

    A point stands at radius r, the root of a uniform number, and angle 3 pi r, plus pi on the second arm;
    noise of standard deviation 0.02 is added.

    Returns:
        The points, float32 [count, 2], and the arm of each, int64 [count].
    """
    random = np.random.RandomState(seed)
    arms = random.randint(2, size=count, dtype=np.int64)
    radius = np.sqrt(random.uniform(size=count))
    angle = 2 * np.pi * _SPIRAL_TURNS * radius + np.pi * arms
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return (points + _SPIRAL_STD * random.standard_normal([count, 2])).astype(np.float32), arms


def swissroll_points(seed: int = 0, count: int = POINTS) -> tuple[np.ndarray, None]:
    """Draw points of a rolled band: (t cos t, t sin t) with t uniform between 1.5 pi and 4.5 pi.

    Noise of standard deviation 0.25 is added and everything divided by 7.5, as in Gulrajani et al., 2017
    (arXiv:1704.00028).

    Returns:
        The points, float32 [count, 2]; they have no classes.
    """
    random = np.random.RandomState(seed)
    t = random.uniform(1.5 * np.pi, 4.5 * np.pi, size=count)
    points = np.stack([t * np.cos(t), t * np.sin(t)], axis=1)
    return ((points + _ROLL_STD * random.standard_normal([count, 2])) / _ROLL_SCALE).astype(np.float32), None


POINTS_OF: dict[str, Callable[[], Points]] = {
    "ring": lambda: mixture_points(RING),
    "grid": lambda: mixture_points(GRID),
    "spiral": spiral_points,
    "swissroll": swissroll_points,
}
