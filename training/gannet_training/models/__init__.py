"""The presets of networks by name."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gannet_training.choices import choose
from gannet_training.config import TrainConfig

if TYPE_CHECKING:
    import keras

Networks = tuple["keras.Model", "keras.Model"]


def _dcgan(config: TrainConfig) -> Networks:
    from gannet_training.models.dcgan import DCGANDiscriminator, DCGANGenerator

    shape = {"image_size": config.image_size, "channels": config.channels, "width": config.width}
    return DCGANGenerator(latent_dim=config.latent_dim, **shape), DCGANDiscriminator(**shape)


MODELS: dict[str, Callable[[TrainConfig], Networks]] = {"dcgan": _dcgan}


def networks(config: TrainConfig) -> Networks:
    """Build the generator and the discriminator of a configuration.

    Raises:
        UsageError: there is no such model (the message lists the known ones), or its image size does not fit.
    """
    return choose("model", config.model, MODELS)(config)
