"""Penalties on the discriminator: means over the batch, to be added to its loss with a weight."""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

Discriminate = Callable[[tf.Tensor], tf.Tensor]


def gradient_penalty(
    discriminate: Discriminate, real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor
) -> tf.Tensor:
    r"""Hold the critic's slope near 1 between real and drawn images (Gulrajani, 2017, arXiv:1704.00028).

    $$E[(\lVert\nabla_{\hat x} D(\hat x)\rVert_2 - 1)^2],\quad \hat x = x + \alpha(G(z) - x)$$

    Args:
        discriminate: from images to logits.
        real: images [B, H, W, C].
        fake: images [B, H, W, C].
        alpha: uniform in [0, 1), shape [B].

    Returns:
        A scalar.

    Example:
        >>> images = tf.ones([2, 1, 1, 1])
        >>> float(gradient_penalty(lambda x: 3.0 * x[:, :, 0, 0], images, images, tf.zeros([2])))
        4.0
    """
    alpha, fake = ops.reshape(ops.cast(alpha, real.dtype), (-1, 1, 1, 1)), ops.cast(fake, real.dtype)
    gradients = _gradients(discriminate, real + alpha * (fake - real))
    squares = ops.sum(ops.square(gradients), axis=(1, 2, 3))
    # The slope of a square root has no bound at zero.
    slopes = ops.sqrt(squares + _tiny(squares))
    return ops.mean(ops.square(slopes - 1.0))


def r1_penalty(discriminate: Discriminate, real: tf.Tensor) -> tf.Tensor:
    r"""Hold the discriminator flat at real images (Mescheder et al., 2018, arXiv:1801.04406, equation 9).

    $$\tfrac12 E[\lVert\nabla_x D(x)\rVert_2^2]$$

    Args:
        discriminate: from images to logits.
        real: images [B, H, W, C].

    Returns:
        A scalar.

    Example:
        >>> float(r1_penalty(lambda x: 3.0 * x[:, :, 0, 0], tf.ones([2, 1, 1, 1])))
        4.5
    """
    gradients = _gradients(discriminate, real)
    return 0.5 * ops.mean(ops.sum(ops.square(gradients), axis=(1, 2, 3)))


def _tiny(values: tf.Tensor) -> float:
    """A number far below every slope that matters, and above the smallest normal number of the dtype."""
    return 1e-24 if values.dtype == tf.float64 else 1e-12


def _gradients(discriminate: Discriminate, images: tf.Tensor) -> tf.Tensor:
    # Second derivatives lose too much in 16 bits.
    images = ops.cast(images, "float64" if images.dtype == tf.float64 else "float32")
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminate(images)
    return tape.gradient(logits, images)
