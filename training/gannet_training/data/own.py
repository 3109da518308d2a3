"""Images of the user's own: what a function `package.module:function` returns."""

import functools

import numpy as np

from gannet_client.errors import UsageError
from gannet_training.data.source import ImageSource, in_memory
from gannet_training.imports import load_callable


@functools.cache
def open_own(reference: str) -> ImageSource:
    """Call the function that a reference names, once per process, and take what it returns.

    Args:
        reference: of a function without arguments that returns an :class:`ImageSource`, an array of images
            (uint8, or float32 in [-1, 1], [N, S, S, C]), or a pair of such an array and labels, int64 [N].

    Raises:
        UsageError: there is no such function, or it returns something else.
    """
    found = load_callable(reference)()
    source = found if isinstance(found, ImageSource) else _from_arrays(reference, found)
    height, width, _ = source.image_shape
    if height != width:
        raise UsageError(f"expected square images of {reference}, received {height}x{width}")
    return source


def _from_arrays(reference: str, found: object) -> ImageSource:
    images, labels = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(images, np.ndarray) or not isinstance(labels, np.ndarray | None):
        raise UsageError(
            f"expected {reference} to return images, (images, labels) or an ImageSource, "
            f"received {type(found).__name__}"
        )
    classes = [] if labels is None else [str(label) for label in range(int(labels.max(initial=-1)) + 1)]
    return in_memory(images, labels, classes)
