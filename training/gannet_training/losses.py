"""Adversarial losses: pure functions of logits, each a mean over the batch.

Every loss is a plain per-replica mean. The training step divides by the number of replicas once, because the
optimizer sums gradients over replicas. Logits are float [B, 1] and unbounded; losses are scalars of their
dtype. A discriminator's loss is a pair, its part of real images and its part of drawn ones; their sum is what
it minimises.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import tensorflow as tf
from keras import ops

from gannet_client.errors import UsageError
from gannet_training.choices import choose

Parts: TypeAlias = tuple[tf.Tensor, tf.Tensor]


def cross_entropy_discriminator(real: tf.Tensor, fake: tf.Tensor, smoothing: float = 0.0) -> Parts:
    r"""The discriminator's cross-entropy (Goodfellow et al., 2014, arXiv:1406.2661, algorithm 1).

    $$L_D = -E[(1-s)\log\sigma(D(x)) + s\log(1-\sigma(D(x)))] - E[\log(1-\sigma(D(G(z))))]$$

    with one-sided label smoothing s on the real images alone (Salimans et al., 2016, arXiv:1606.03498).

    Args:
        real: D(x).
        fake: D(G(z)).
        smoothing: s in [0, 1).

    Example:
        >>> zeros = tf.zeros([4, 1])
        >>> [round(float(part), 4) for part in cross_entropy_discriminator(zeros, zeros)]
        [0.6931, 0.6931]
    """
    targets = (1.0 - smoothing) * ops.softplus(-real) + smoothing * ops.softplus(real)
    return ops.mean(targets), ops.mean(ops.softplus(fake))


def minimax_generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    r"""The generator's side of the minimax game (Goodfellow et al., 2014, arXiv:1406.2661, equation 1).

    $$L_G = E[\log(1-\sigma(D(G(z))))]$$

    Args:
        real: not used.
        fake: D(G(z)).

    Example:
        >>> round(float(minimax_generator(tf.zeros([4, 1]), tf.zeros([4, 1]))), 4)
        -0.6931
    """
    return -ops.mean(ops.softplus(fake))


def non_saturating_generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    r"""The non-saturating generator loss (Goodfellow et al., 2014, arXiv:1406.2661, section 3).

    $$L_G = -E[\log\sigma(D(G(z)))]$$

    Args:
        real: not used.
        fake: D(G(z)).

    Example:
        >>> round(float(non_saturating_generator(tf.zeros([4, 1]), tf.zeros([4, 1]))), 4)
        0.6931
    """
    return ops.mean(ops.softplus(-fake))


def least_squares_discriminator(real: tf.Tensor, fake: tf.Tensor, smoothing: float = 0.0) -> Parts:
    r"""The least squares discriminator loss (Mao et al., 2017, arXiv:1611.04076, equation 9).

    $$L_D = \tfrac12 E[(D(x)-(1-s))^2] + \tfrac12 E[D(G(z))^2]$$

    Args:
        real: D(x).
        fake: D(G(z)).
        smoothing: s in [0, 1), on the real images alone.

    Example:
        >>> [float(part) for part in least_squares_discriminator(tf.zeros([4, 1]), tf.ones([4, 1]))]
        [0.5, 0.5]
    """
    return 0.5 * ops.mean(ops.square(real - (1.0 - smoothing))), 0.5 * ops.mean(ops.square(fake))


def least_squares_generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    r"""The least squares generator loss (Mao et al., 2017, arXiv:1611.04076, equation 9).

    $$L_G = \tfrac12 E[(D(G(z))-1)^2]$$

    Args:
        real: not used.
        fake: D(G(z)).

    Example:
        >>> float(least_squares_generator(tf.zeros([4, 1]), tf.zeros([4, 1])))
        0.5
    """
    return 0.5 * ops.mean(ops.square(fake - 1.0))


def wasserstein_critic(real: tf.Tensor, fake: tf.Tensor) -> Parts:
    r"""The critic's loss: minus its estimate of the Wasserstein distance (arXiv:1701.07875).

    $$L_D = E[D(G(z))] - E[D(x)]$$

    Args:
        real: D(x).
        fake: D(G(z)).

    Example:
        >>> [float(part) for part in wasserstein_critic(tf.ones([4, 1]), tf.zeros([4, 1]))]
        [-1.0, 0.0]
    """
    return -ops.mean(real), ops.mean(fake)


def wasserstein_generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    r"""The generator loss of Wasserstein and hinge GANs (Arjovsky et al., 2017, arXiv:1701.07875).

    $$L_G = -E[D(G(z))]$$

    Args:
        real: not used.
        fake: D(G(z)).

    Example:
        >>> float(wasserstein_generator(tf.zeros([4, 1]), tf.ones([4, 1])))
        -1.0
    """
    return -ops.mean(fake)


def hinge_discriminator(real: tf.Tensor, fake: tf.Tensor) -> Parts:
    r"""The hinge loss (Lim and Ye, 2017, arXiv:1705.02894; Miyato et al., 2018, arXiv:1802.05957).

    $$L_D = E[\max(0, 1-D(x))] + E[\max(0, 1+D(G(z)))]$$

    Args:
        real: D(x).
        fake: D(G(z)).

    Example:
        >>> [float(part) for part in hinge_discriminator(tf.zeros([4, 1]), tf.zeros([4, 1]))]
        [1.0, 1.0]
    """
    return ops.mean(ops.relu(1.0 - real)), ops.mean(ops.relu(1.0 + fake))


def relativistic_discriminator(real: tf.Tensor, fake: tf.Tensor) -> Parts:
    r"""The relativistic standard loss (Jolicoeur-Martineau, 2018, arXiv:1807.00734, equation 9).

    $$L_D = -E[\log\sigma(D(x)-D(G(z)))]$$

    Real and drawn images enter it in pairs alone: each has half of it for its part.

    Args:
        real: D(x).
        fake: D(G(z)), paired with `real` row by row.

    Example:
        >>> [round(float(part), 4) for part in relativistic_discriminator(tf.zeros([4, 1]), tf.zeros([4, 1]))]
        [0.3466, 0.3466]
    """
    half = 0.5 * ops.mean(ops.softplus(fake - real))
    return half, half


def relativistic_generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    r"""The generator's relativistic standard loss (Jolicoeur-Martineau, 2018, arXiv:1807.00734).

    $$L_G = -E[\log\sigma(D(G(z))-D(x))]$$

    Args:
        real: D(x).
        fake: D(G(z)), paired with `real` row by row.

    Example:
        >>> round(float(relativistic_generator(tf.zeros([4, 1]), tf.zeros([4, 1]))), 4)
        0.6931
    """
    return ops.mean(ops.softplus(real - fake))


@dataclass(frozen=True)
class Objective:
    """What the two networks minimise.

    Attributes:
        discriminator: of D(x) and D(G(z)), and of `smoothing` where that has a meaning; in two parts.
        generator: of D(x) and D(G(z)).
        smooths: whether labels can be smoothed: the objective has targets.
        needs_real: whether the generator's loss depends on D(x), which then costs a forward pass.
    """

    discriminator: Callable[..., Parts]
    generator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    smooths: bool = False
    needs_real: bool = False


OBJECTIVES = {
    "minimax": Objective(cross_entropy_discriminator, minimax_generator, smooths=True),
    "non_saturating": Objective(cross_entropy_discriminator, non_saturating_generator, smooths=True),
    "least_squares": Objective(least_squares_discriminator, least_squares_generator, smooths=True),
    "wasserstein": Objective(wasserstein_critic, wasserstein_generator),
    "hinge": Objective(hinge_discriminator, wasserstein_generator),
    "relativistic": Objective(relativistic_discriminator, relativistic_generator, needs_real=True),
}


def find_objective(name: str | Objective, label_smoothing: float = 0.0) -> Objective:
    """Find an objective by its name, or take one of your own.

    Raises:
        UsageError: there is none of that name, or it has no labels to smooth.

    Example:
        >>> find_objective("hinge").generator is wasserstein_generator
        True
    """
    found = name if isinstance(name, Objective) else choose("objective", name, OBJECTIVES)
    if label_smoothing and not found.smooths:
        raise UsageError(
            f"the objective '{name}' has no labels to smooth, received label_smoothing={label_smoothing}"
        )
    return found
