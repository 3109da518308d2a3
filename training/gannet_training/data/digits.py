"""Handwritten digits: 1,797 real images that come with scikit-learn."""

from pathlib import Path

import numpy as np

from gannet_training.data.arrays import numbered
from gannet_training.data.decoding import resize
from gannet_training.data.source import ImageSource, in_memory

CLASS_NAMES = numbered(10)
_BRIGHTEST = 16
"""The source's grey levels run from 0 to 16."""


def open_digits(image_size: int, root: Path | None = None) -> ImageSource:
    """Open the digits, resized from 8x8 by bilinear interpolation.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998
    (https://doi.org/10.24432/C50P49), the test part, as in `sklearn.datasets.load_digits`.

    Args:
        image_size: side in pixels.
        root: not needed, the images are installed.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[..., np.newaxis] / (_BRIGHTEST / 2) - 1.0).astype(np.float32)
    return in_memory(
        np.stack([resize(image, image_size) for image in images]),
        digits.target.astype(np.int64),
        CLASS_NAMES,
    )
