"""Optimizers by name, with the hyper-parameters that each of them has."""

from collections.abc import Callable

import keras

from gannet_training.choices import choose
from gannet_training.config import TrainConfig
from gannet_training.fused_adam import FusedAdam

Build = Callable[[TrainConfig, float], keras.optimizers.Optimizer]


def _sgd(config: TrainConfig, rate: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(rate, momentum=config.momentum, nesterov=config.nesterov)


def _adagrad(config: TrainConfig, rate: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adagrad(rate)


def _rmsprop(config: TrainConfig, rate: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.RMSprop(rate, rho=config.rho, momentum=config.momentum)


def _adam(config: TrainConfig, rate: float) -> keras.optimizers.Optimizer:
    return FusedAdam(rate, beta_1=config.beta_1, beta_2=config.beta_2)


def _adamw(config: TrainConfig, rate: float) -> keras.optimizers.Optimizer:
    return FusedAdam(rate, weight_decay=config.weight_decay, beta_1=config.beta_1, beta_2=config.beta_2)


OPTIMIZERS: dict[str, Build] = {
    "sgd": _sgd,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}


def optimizers(config: TrainConfig) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
    """Make the generator's and the discriminator's optimizer, each an object of its own.

    Args:
        config: `optimizer`, `learning_rate` and `discriminator_learning_rate` (two time scales: Heusel et
            al., 2017, arXiv:1706.08500), and the hyper-parameters of the one chosen.

    Raises:
        UsageError: there is no optimizer of that name.
    """
    build = choose("optimizer", config.optimizer, OPTIMIZERS)
    discriminator_rate = config.discriminator_learning_rate or config.learning_rate
    return build(config, config.learning_rate), build(config, discriminator_rate)
