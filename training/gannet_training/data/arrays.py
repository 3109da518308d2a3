"""Images of a set that is small enough to be read whole."""

import functools
from collections.abc import Sequence

import numpy as np

from gannet_training.data.decoding import resize
from gannet_training.data.reading import Reader
from gannet_training.data.source import ImageSource, from_reader, in_memory


def from_pixels(
    pixels: np.ndarray, labels: np.ndarray, class_names: Sequence[str], image_size: int
) -> ImageSource:
    """Make a source of square images in memory, resized if they are of another size.

    Args:
        pixels: uint8 [N, S, S, C]; where the resized images would take too much memory, they stay as they are
            and are resized whenever they are needed.
        labels: [N], of any integer type.
        class_names: a name per class.
        image_size: side of the images that the source gives.
    """
    labels = labels.astype(np.int64)
    if pixels.shape[1] == image_size:
        return in_memory(np.ascontiguousarray(pixels), labels, class_names)
    shape = (image_size, image_size, pixels.shape[-1])
    reader = Reader(lambda index: resize(pixels[index], image_size), len(pixels), shape, labels)
    return from_reader(reader, len(pixels), shape, labels, class_names)


@functools.cache
def numbered(count: int) -> tuple[str, ...]:
    """Name classes by their numbers.

    Example:
        >>> numbered(3)
        ('0', '1', '2')
    """
    return tuple(str(number) for number in range(count))
