"""The presets of networks by name."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from gannet_client.errors import UsageError
from gannet_training.choices import choose
from gannet_training.config import TrainConfig
from gannet_training.data import is_point
from gannet_training.imports import is_reference, load_callable

if TYPE_CHECKING:
    import keras

Networks = tuple["keras.Model", "keras.Model"]


def _dcgan(config: TrainConfig) -> Networks:
    from gannet_training.models.dcgan import DCGANDiscriminator, DCGANGenerator

    shared = config.model_dump(include={"image_size", "channels", "width", "initializer"})
    return DCGANGenerator(latent_dim=config.latent_dim, **shared), DCGANDiscriminator(**shared)


def _gan(config: TrainConfig) -> Networks:
    from gannet_training.models.mlp import MLPDiscriminator, MLPGenerator

    shared = config.model_dump(include={"image_size", "channels", "width", "initializer"})
    activation = "linear" if is_point((config.image_size, config.image_size, config.channels)) else "tanh"
    generator = MLPGenerator(latent_dim=config.latent_dim, activation=activation, **shared)
    return generator, MLPDiscriminator(**shared)


def _cgan(config: TrainConfig) -> Networks:
    from gannet_training.models.cgan import CGANDiscriminator, CGANGenerator

    shared = config.model_dump(include={"image_size", "channels", "width", "initializer"})
    shared["classes"] = len(config.class_names)
    return CGANGenerator(latent_dim=config.latent_dim, **shared), CGANDiscriminator(**shared)


MODELS: dict[str, Callable[[TrainConfig], Networks]] = {"cgan": _cgan, "dcgan": _dcgan, "gan": _gan}
CONDITIONAL = ("cgan",)
"""The presets that learn classes."""


def _own(config: TrainConfig) -> Networks:
    factory = load_callable(config.model)
    given = {
        **config.options,
        "image_shape": (config.image_size, config.image_size, config.channels),
        "latent_dim": config.latent_dim,
        **({"classes": len(config.class_names)} if config.class_names else {}),
    }
    try:
        inspect.signature(factory).bind(**given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"expected {config.model} to take {', '.join(given)}, but: {error}") from error
    pair = factory(**given)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise UsageError(
            f"expected {config.model} to return (generator, discriminator), received {pair!r:.80}"
        )
    return pair


def require_model(name: str) -> None:
    """Refuse the name of a preset that does not exist; a reference is looked at when it is built.

    Raises:
        UsageError: the message lists the known names.
    """
    if not is_reference(name):
        choose("model", name, MODELS)


def is_conditional(name: str, asked: bool = False) -> bool:
    """Tell whether a model learns classes: a preset knows, for a factory of your own it has to be asked.

    Raises:
        UsageError: a preset without classes was asked for some.
    """
    if asked and not is_reference(name) and name not in CONDITIONAL:
        raise UsageError(
            f"{name} has no classes; choose one of {', '.join(CONDITIONAL)}, or leave --conditional out"
        )
    return asked or name in CONDITIONAL


def networks(config: TrainConfig) -> Networks:
    """Build the generator and the discriminator of a configuration.

    A model `package.module:factory` is the user's own: it is called with `image_shape` (H, W, C),
    `latent_dim` and the configuration's `options`, and returns two Keras models, from noise [B, Z] to images
    [B, H, W, C] in [-1, 1], and from images to logits [B, 1]. If the configuration names classes, it is
    called with their number as `classes` too, and its models take pairs (noise or images, labels int64 [B]).

    Raises:
        UsageError: there is no such model (the message lists the known ones), it cannot be called so, its
            image size does not fit, classes are named for a preset without, or not for one with, or options
            are given to a preset.
    """
    if is_conditional(config.model, bool(config.class_names)) and not config.class_names:
        raise UsageError(f"expected the class names of {config.data} for {config.model}, received none")
    if is_reference(config.model):
        return _own(config)
    build = choose("model", config.model, MODELS)
    if config.options:
        raise UsageError(
            f"expected no options of the preset {config.model}, received {config.options}; "
            "they (--set) are arguments of a factory of your own"
        )
    return build(config)
