"""Handwritten digits: 1,797 real images that come with scikit-learn."""

import numpy as np
import tensorflow as tf

from gannet_training.data import ImageSet

_BRIGHTEST = 16
"""The source's grey levels run from 0 to 16."""


def load(image_size: int) -> ImageSet:
    """Load the digits, resized from 8x8 by bilinear interpolation.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998
    (https://doi.org/10.24432/C50P49), the test part, as in `sklearn.datasets.load_digits`.

    Args:
        image_size: side in pixels.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[..., np.newaxis] / (_BRIGHTEST / 2) - 1.0).astype(np.float32)
    return ImageSet(
        images=tf.image.resize(images, (image_size, image_size)).numpy(),
        labels=digits.target.astype(np.int64),
        class_names=tuple(str(name) for name in digits.target_names),
    )
