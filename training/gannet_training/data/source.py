"""What training sees of a data set: its shape, its labels, and images by index."""

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gannet_client.errors import UsageError
from gannet_training.data.errors import data_errors

if TYPE_CHECKING:
    import tensorflow as tf

PIXEL_HALF_RANGE = 127.5
"""A pixel p in 0 to 255 is the value p / 127.5 - 1, the inverse of the contract's `pixels`."""

POINT_SHAPE = (1, 1, 2)
"""What stands for an image in a toy mixture: x and y, in units of their own."""

ReadPixels = Callable[[np.ndarray], np.ndarray]
"""From int64 [B] to uint8 [B, H, W, C]."""


def is_point(image_shape: Sequence[int]) -> bool:
    """Tell the points of a toy mixture, which have no bounds, from images.

    Example:
        >>> is_point((1, 1, 2)), is_point((32, 32, 3))
        (True, False)
    """
    return tuple(image_shape) == POINT_SHAPE


PROBES = 64
"""Images by which two sources are compared."""


@dataclass(frozen=True)
class ImageSource:
    """Images to learn from, by index.

    Attributes:
        size: how many images N there are.
        image_shape: (H, W, C).
        fetch: from indices, int64 [B] in 0 to N - 1, to images, float32 [B, H, W, C] in [-1, 1] (points of a
            toy mixture: in its own units). A pure function, for use in `tf.data.Dataset.map` and outside of
            it. An index out of range is an error.
        labels: int64 [N], the class of each image from 0 to K - 1, or None.
        class_names: a name for each of the K classes; empty without labels.
    """

    size: int
    image_shape: tuple[int, int, int]
    fetch: "Callable[[tf.Tensor], tf.Tensor]"
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels = self.labels
        if labels is None:
            return
        if labels.shape != (self.size,) or labels.dtype != np.int64:
            raise UsageError(
                f"expected labels int64 [{self.size}], received {labels.dtype} {list(labels.shape)}; "
                "give every image one label"
            )
        if self.size and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise UsageError(
                f"expected labels from 0 to {len(self.class_names) - 1}, one per class name, "
                f"received {labels.min()} to {labels.max()}; number the classes from 0"
            )


def fingerprint(source: ImageSource) -> dict[str, Any]:
    """Sum a source up: two that agree in this are, in all likelihood, of the same images in the same order.

    Args:
        source: 64 of its images are read, evenly chosen.

    Returns:
        JSON values.

    Raises:
        DataError: an image cannot be read.

    Example:
        >>> images = np.zeros([4, 8, 8, 1], np.uint8)
        >>> one, other = fingerprint(in_memory(images)), fingerprint(in_memory(images + np.uint8(1)))
        >>> one["images"] == other["images"], one["content"] == other["content"]
        (True, False)
    """
    places = np.linspace(0, source.size - 1, PROBES).astype(np.int64)
    with data_errors():
        values = source.fetch(places).numpy()
    # Rounded, because the values of points are computed, and not to the same last bit by all processors.
    content = zlib.crc32(np.round(values * PIXEL_HALF_RANGE).astype(np.int64).tobytes())
    labels = b"" if source.labels is None else source.labels.tobytes()
    return {
        "images": source.size,
        "classes": ", ".join(source.class_names) or "none",
        "labels": f"{zlib.crc32(labels):08x}",
        "content": f"{content:08x}",
    }


def in_memory(
    images: np.ndarray, labels: np.ndarray | None = None, class_names: Sequence[str] = ()
) -> ImageSource:
    """Make a source of images that are in memory.

    Args:
        images: uint8 [N, H, W, C], or float32 [N, H, W, C] in [-1, 1]; N at least 1.
        labels: int64 [N] from 0 to K - 1, if any.
        class_names: of the K classes.

    Raises:
        UsageError: another shape or type, no image, or labels that do not fit.

    Example:
        >>> source = in_memory(np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1))
        >>> source.fetch(np.array([2, 1], np.int64)).numpy().ravel().tolist()
        [1.0, -0.6000000238418579]
    """
    if images.ndim != 4 or not images.size or images.dtype not in (np.uint8, np.float32):
        raise UsageError(
            "expected images uint8 or float32 [N, H, W, C] with N at least 1, "
            f"received {images.dtype} {list(images.shape)}"
        )

    @functools.cache
    def pool() -> "tf.Tensor":
        import tensorflow as tf

        # Outside of any graph, which would take a copy of its own, and in the memory where pipelines run.
        with tf.init_scope(), tf.device("CPU"):
            return tf.constant(images)

    def fetch(indices: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        return _to_values(tf.gather(pool(), indices))

    return _source(len(images), images.shape[1:], fetch, labels, class_names)


def from_reader(
    read: ReadPixels,
    size: int,
    image_shape: tuple[int, int, int],
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
) -> ImageSource:
    """Make a source of images that Python reads when they are needed.

    Args:
        read: from indices, int64 [B], to pixels, uint8 [B, H, W, C]; called from several threads at once.
        size: how many images there are.
        image_shape: (H, W, C).
        labels: int64 [N] from 0 to K - 1, if any.
        class_names: of the K classes.
    """

    def fetch(indices: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        indices = tf.cast(indices, tf.int64)
        pixels = tf.numpy_function(read, [indices], tf.uint8, stateful=False)
        return _to_values(tf.ensure_shape(pixels, [indices.shape[0], *image_shape]))

    return _source(size, image_shape, fetch, labels, class_names)


def _source(
    size: int,
    image_shape: Sequence[int],
    fetch: "Callable[[tf.Tensor], tf.Tensor]",
    labels: Any,
    class_names: Sequence[str],
) -> ImageSource:
    height, width, channels = image_shape
    return ImageSource(size, (height, width, channels), fetch, labels, tuple(class_names))


def _to_values(images: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / PIXEL_HALF_RANGE - 1.0
    return images
