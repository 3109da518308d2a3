"""The presets of networks by name."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gannet_client.errors import UsageError
from gannet_training.choices import choose
from gannet_training.config import TrainConfig
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
    return MLPGenerator(latent_dim=config.latent_dim, **shared), MLPDiscriminator(**shared)


MODELS: dict[str, Callable[[TrainConfig], Networks]] = {"dcgan": _dcgan, "gan": _gan}


def _own(config: TrainConfig) -> Networks:
    pair = load_callable(config.model)(
        image_shape=(config.image_size, config.image_size, config.channels),
        latent_dim=config.latent_dim,
        **config.options,
    )
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


def networks(config: TrainConfig) -> Networks:
    """Build the generator and the discriminator of a configuration.

    A model `package.module:factory` is the user's own: it is called with `image_shape` (H, W, C),
    `latent_dim` and the configuration's `options`, and returns two Keras models, from noise [B, Z] to images
    [B, H, W, C] in [-1, 1], and from images to logits [B, 1].

    Raises:
        UsageError: there is no such model (the message lists the known ones), or its image size does not fit.
    """
    build = _own if is_reference(config.model) else choose("model", config.model, MODELS)
    return build(config)
