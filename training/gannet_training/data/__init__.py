"""Data sets by name."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gannet_training.choices import choose


@dataclass(frozen=True)
class ImageSet:
    """Images to learn from.

    Attributes:
        images: float32 [N, H, W, C] in [-1, 1].
        labels: int64 [N], the class of each image.
        class_names: a name per class.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """A known data set: `load` takes the side of the square images in pixels."""

    load: Callable[[int], ImageSet]
    image_size: int
    channels: int


def _digits(image_size: int) -> ImageSet:
    from gannet_training.data.digits import load

    return load(image_size)


DATA_SETS = {"digits": DataSet(_digits, image_size=16, channels=1)}


def data_set(name: str) -> DataSet:
    """Find a data set by its name.

    Raises:
        UsageError: there is none of that name; the message lists the known ones.

    Example:
        >>> data_set("digits").load(16).images.shape
        (1797, 16, 16, 1)
    """
    return choose("data set", name, DATA_SETS)
