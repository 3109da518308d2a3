"""Adversarial losses: pure functions of logits, each a mean over the batch.

Every loss is a plain per-replica mean. The training step divides by the number of replicas once, because
the optimizer sums gradients over replicas.
"""

import tensorflow as tf
from keras import ops


def discriminator_loss(
    real_logits: tf.Tensor, fake_logits: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    r"""The discriminator's cross-entropy.

    $$L_D = -E[(1-s)\log\sigma(D(x)) + s\log(1-\sigma(D(x)))] - E[\log(1-\sigma(D(G(z))))]$$

    with one-sided label smoothing s on the real images alone (Salimans et al., 2016, arXiv:1606.03498).

    Args:
        real_logits: D(x), shape [B, 1], unbounded.
        fake_logits: D(G(z)), shape [B, 1], unbounded.
        label_smoothing: s in [0, 1); 0 is the loss of Goodfellow et al., 2014, arXiv:1406.2661.

    Returns:
        A scalar in the dtype of the logits.

    Example:
        >>> zeros = tf.zeros([4, 1])
        >>> round(float(discriminator_loss(zeros, zeros)), 4)
        1.3863
    """
    real = (1.0 - label_smoothing) * ops.softplus(-real_logits) + label_smoothing * ops.softplus(real_logits)
    return ops.mean(real) + ops.mean(ops.softplus(fake_logits))


def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    r"""The non-saturating generator loss (Goodfellow et al., 2014, arXiv:1406.2661, section 3).

    $$L_G = -E[\log\sigma(D(G(z)))]$$

    Args:
        fake_logits: D(G(z)), shape [B, 1], unbounded.

    Returns:
        A scalar in the dtype of the logits.

    Example:
        >>> round(float(generator_loss(tf.zeros([4, 1]))), 4)
        0.6931
    """
    return ops.mean(ops.softplus(-fake_logits))
