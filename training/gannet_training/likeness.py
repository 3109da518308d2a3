"""How much drawn images are like real ones, from their pixels alone."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from gannet_export import to_pixels
from gannet_training.data import ImageSource, data_errors
from gannet_training.sampling import sample_values

IMAGES, DIRECTIONS, SIDE = 128, 128, 32
MEASURED = ("sliced_wasserstein", "diversity")

Judge = Callable[[np.ndarray], float]
"""From drawn images, uint8 [N, H, W, C], to a measure."""


class Likeness(keras.callbacks.Callback):
    """Adds to the measures of each epoch how the moving average's images compare with real ones.

    Always the same latents with the same real images, evenly chosen from the data set: the measures are
    functions of the weights. `sliced_wasserstein` is that of :func:`sliced_wasserstein`, `diversity` that of
    :func:`diversity`.

    Args:
        source: of the real images.
        judges: further measures, by name.

    Raises:
        DataError: an image cannot be read.
    """

    def __init__(self, source: ImageSource, judges: dict[str, Judge]) -> None:
        super().__init__()
        with data_errors():
            places = np.linspace(0, source.size - 1, IMAGES).astype(np.int64)
            self._real = _thinned(source.fetch(places).numpy())
        self._judges = judges

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw, and compare."""
        values = sample_values(
            self.model.ema_generator, range(IMAGES), self.model.latent_dim, classes=self.model.classes
        )
        drawn, pixels = _thinned(values), to_pixels(values).numpy()
        measures = {
            "sliced_wasserstein": sliced_wasserstein(self._real, drawn),
            "diversity": diversity(self._real, drawn),
            **{name: float(judge(pixels)) for name, judge in self._judges.items()},
        }
        if logs is not None:
            logs.update(measures)


def sliced_wasserstein(real: np.ndarray, drawn: np.ndarray) -> float:
    r"""Compare two sets of images as point clouds (Bonneel et al., 2015, doi:10.1007/s10851-014-0506-3).

    $$E_{|u|=1} W_1(\langle u, x \rangle, \langle u, G(z) \rangle)$$

    over fixed random directions u. It sees whether shades, shapes and their frequencies agree, not whether
    single images are sharp or copied.

    Args:
        real: float [N, D].
        drawn: float [N, D].

    Returns:
        At least 0, in the unit of the values; 0 for equal sets.

    Example:
        >>> points = np.random.default_rng(1).normal(size=(100, 4))
        >>> sliced_wasserstein(points, points[::-1])
        0.0
        >>> sliced_wasserstein(points, points + 1) < sliced_wasserstein(points, points + 2)
        True
    """
    directions = np.random.default_rng(0).normal(size=(real.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    distances = np.sort(real @ directions, axis=0) - np.sort(drawn @ directions, axis=0)
    return float(np.abs(distances).mean())


def diversity(real: np.ndarray, drawn: np.ndarray) -> float:
    """Tell the spread of drawn images, as a share of that of real ones: the root of their variances' ratio.

    Args:
        real: float [N, D].
        drawn: float [N, D].

    Returns:
        0 if all drawn images are the same, about 1 if they differ as real ones do; 1 if the real ones are all
        the same.

    Example:
        >>> points = np.random.default_rng(1).normal(size=(100, 4))
        >>> diversity(points, points / 2), diversity(points, np.ones_like(points))
        (0.5, 0.0)
    """
    spread = real.var(axis=0).mean()
    return float(np.sqrt(drawn.var(axis=0).mean() / spread)) if spread else 1.0


def _thinned(images: np.ndarray) -> np.ndarray:
    """Float [N, D]: every k-th pixel, so that there are at most 32 in a row."""
    every = -(-images.shape[1] // SIDE)
    return images[:, ::every, ::every].reshape(len(images), -1).astype(np.float64)
