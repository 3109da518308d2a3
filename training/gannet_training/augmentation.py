"""Differentiable augmentation of what the discriminator sees, real and drawn alike.

Zhao et al., 2020, arXiv:2006.10738. Every function takes images float [B, H, W, C] in [-1, 1] and its own
uniform numbers in [0, 1), so that an augmented batch is a pure function of the batch.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

from gannet_training.choices import choose

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def color(images: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Shift the brightness by up to 0.5, scale the saturation by 0 to 2 and the contrast by 0.5 to 1.5.

    Args:
        images: [B, H, W, C].
        uniforms: [B, 3].

    Example:
        >>> float(color(tf.zeros([1, 2, 2, 3]), tf.ones([1, 3]))[0, 0, 0, 0])
        0.5
    """
    brightness, saturation, contrast = (ops.reshape(uniforms[:, place], (-1, 1, 1, 1)) for place in range(3))
    images = images + (brightness - 0.5)
    grey = ops.mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (2.0 * saturation)
    level = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return level + (images - level) * (contrast + 0.5)


def translation(images: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Move the image by up to an eighth of its sides in whole pixels; what it leaves behind is zero.

    Args:
        images: [B, H, W, C].
        uniforms: [B, 2].

    Example:
        >>> moved = translation(tf.ones([1, 8, 8, 1]), tf.constant([[0.99, 0.5]]))
        >>> moved[0, :, 0, 0].numpy().tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    """
    height, width = images.shape[1:3]
    rows, columns = (_moved(side, uniforms[:, place]) for place, side in enumerate((height, width)))
    down = tf.gather(tf.pad(images, [[0, 0], [1, 1], [0, 0], [0, 0]]), rows, axis=1, batch_dims=1)
    return tf.gather(tf.pad(down, [[0, 0], [0, 0], [1, 1], [0, 0]]), columns, axis=2, batch_dims=1)


def _moved(side: int, uniforms: tf.Tensor) -> tf.Tensor:
    """For each place of the result, the place it comes from in a row padded by one zero at either end."""
    reach = int(side / 8 + 0.5)
    shift = ops.cast(ops.floor(uniforms * (2 * reach + 1)), "int32") - reach
    return ops.clip(ops.arange(side, dtype="int32")[None, :] + shift[:, None] + 1, 0, side + 1)


def cutout(images: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Blank a rectangle of half the image's sides, anywhere, also partly outside.

    Args:
        images: [B, H, W, C].
        uniforms: [B, 2].

    Example:
        >>> cut = cutout(tf.ones([1, 4, 4, 1]), tf.constant([[0.5, 0.5]]))
        >>> float(tf.reduce_sum(cut))
        12.0
    """
    height, width = images.shape[1:3]
    rows, columns = (_hidden(side, uniforms[:, place]) for place, side in enumerate((height, width)))
    hidden = ops.logical_and(rows[:, :, None], columns[:, None, :])
    return ops.where(hidden[..., None], ops.zeros_like(images), images)


def _hidden(side: int, uniforms: tf.Tensor) -> tf.Tensor:
    size = int(side * 0.5 + 0.5)
    start = ops.cast(ops.floor(uniforms * (side + (1 - size % 2))), "int32") - size // 2
    place = ops.arange(side, dtype="int32")[None, :]
    return ops.logical_and(place >= start[:, None], place < start[:, None] + size)


AUGMENTATIONS: dict[str, tuple[Augment, int]] = {
    "color": (color, 3),
    "translation": (translation, 2),
    "cutout": (cutout, 2),
}
"""Each with the number of uniforms it takes per image."""


class Augmentation:
    """Several augmentations, one after the other.

    Args:
        policy: names, for example "color,translation,cutout"; empty is none.

    Attributes:
        uniforms: how many uniform numbers it takes per image.

    Raises:
        UsageError: there is no augmentation of that name.

    Example:
        >>> augment = Augmentation("color,cutout")
        >>> augment.uniforms
        5
        >>> augment(tf.zeros([2, 4, 4, 1]), tf.zeros([2, 5])).shape
        TensorShape([2, 4, 4, 1])
    """

    def __init__(self, policy: str) -> None:
        names = [name.strip() for name in policy.split(",") if name.strip()]
        self._steps = [choose("augmentation", name, AUGMENTATIONS) for name in names]
        self.uniforms = sum(count for _, count in self._steps)

    def __call__(self, images: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """Augment images [B, H, W, C] by uniforms [B, self.uniforms]."""
        taken = 0
        for augment, count in self._steps:
            images = augment(images, ops.cast(uniforms[:, taken : taken + count], images.dtype))
            taken += count
        return images
