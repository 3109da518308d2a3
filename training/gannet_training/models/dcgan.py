"""The deep convolutional GAN of Radford et al., 2016 (arXiv:1511.06434)."""

from typing import Any

import keras

from gannet_client.errors import UsageError
from gannet_training.initializers import initializer as make_initializer
from gannet_training.models.network import Network

SMALLEST_SIDE = 4
"""Side of the feature map between the dense layer and the first transposed convolution."""


def doublings(image_size: int) -> int:
    """Count the doublings from 4x4 to the image.

    Raises:
        UsageError: `image_size` is not 4 times a power of two, or below 8.

    Example:
        >>> doublings(16), doublings(32)
        (2, 3)
    """
    count = (image_size // SMALLEST_SIDE).bit_length() - 1
    if count < 1 or SMALLEST_SIDE << count != image_size:
        raise UsageError(
            f"expected an image size of 8, 16, 32, 64, ... (4 times a power of two), received {image_size}; "
            "choose the nearest of them and the images are resized to it"
        )
    return count


def _batch_norm() -> keras.layers.BatchNormalization:
    # Synchronized: statistics of the global batch, equal on every replica.
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=True)


def generator_blocks(
    given: int, image_size: int, channels: int, width: int, initializer: str
) -> list[keras.layers.Layer]:
    """Make the body of a DCGAN's generator: dense to 4x4, then one transposed convolution per doubling.

    Args:
        given: width of what the dense layer takes.
        image_size: side of the square image in pixels.
        channels: of the image.
        width: feature maps of the last hidden layer.
        initializer: of every kernel, by name.
    """

    def upsample(filters: int, use_bias: bool) -> keras.layers.Layer:
        kernel = make_initializer(initializer)
        return layers.Conv2DTranspose(
            filters, 5, strides=2, padding="same", use_bias=use_bias, kernel_initializer=kernel
        )

    layers = keras.layers
    widest = width << doublings(image_size)
    units = SMALLEST_SIDE**2 * widest
    blocks: list[keras.layers.Layer] = [
        layers.Dense(units, use_bias=False, kernel_initializer=make_initializer(initializer)),
        layers.Reshape((SMALLEST_SIDE, SMALLEST_SIDE, widest)),
        _batch_norm(),
        layers.ReLU(),
    ]
    for level in range(1, doublings(image_size)):
        blocks += [upsample(widest >> level, use_bias=False), _batch_norm(), layers.ReLU()]
    # tanh ends in float32 under any mixed precision: an image is never rounded to bfloat16.
    return [
        *blocks,
        upsample(channels, use_bias=True),
        layers.Activation("tanh", dtype=keras.config.floatx()),
    ]


def discriminator_blocks(image_size: int, width: int, initializer: str) -> list[keras.layers.Layer]:
    """Make the body of a DCGAN's discriminator: strided convolutions down to 4x4, then one logit.

    Args:
        image_size: side of the square image in pixels.
        width: feature maps of the first convolution.
        initializer: of every kernel, by name.
    """
    layers = keras.layers
    blocks: list[keras.layers.Layer] = []
    for level in range(doublings(image_size)):
        kernel, first = make_initializer(initializer), level == 0
        blocks.append(
            layers.Conv2D(
                width << level, 5, strides=2, padding="same", use_bias=first, kernel_initializer=kernel
            )
        )
        blocks += [layers.LeakyReLU(0.2)] if first else [_batch_norm(), layers.LeakyReLU(0.2)]
    return [*blocks, layers.Flatten(), layers.Dense(1, kernel_initializer=make_initializer(initializer))]


@keras.saving.register_keras_serializable("gannet")
class DCGANGenerator(Network):
    """Draws images from noise: dense to 4x4, then one transposed convolution per doubling, tanh at the end.

    BatchNorm and ReLU after every layer but the last; no bias before a BatchNorm.

    Args:
        image_size: side of the square image in pixels: 8, 16, 32, ...
        channels: 1 (grey) or 3 (RGB).
        latent_dim: width Z of the noise.
        width: feature maps of the last hidden layer; doubled for each halving of the side.
        initializer: of every kernel, by name; "normal" is the paper's N(0, 0.02).

    Input shape: [B, Z] of standard normal noise. Output shape: [B, H, W, C] in [-1, 1].

    Raises:
        UsageError: an image size that is not 4 times a power of two.

    Example:
        >>> DCGANGenerator(image_size=16, channels=1, width=8)(keras.ops.zeros([2, 100])).shape
        TensorShape([2, 16, 16, 1])
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        latent_dim: int = 100,
        width: int = 64,
        initializer: str = "normal",
        **kwargs: Any,
    ) -> None:
        config = {
            "image_size": image_size,
            "channels": channels,
            "latent_dim": latent_dim,
            "width": width,
            "initializer": initializer,
        }
        blocks = generator_blocks(latent_dim, image_size, channels, width, initializer)
        super().__init__(blocks, (latent_dim,), config, **kwargs)


@keras.saving.register_keras_serializable("gannet")
class DCGANDiscriminator(Network):
    """Tells real images from drawn ones: strided convolutions with leaky ReLU 0.2, then one logit.

    BatchNorm after every convolution but the first.

    Args:
        image_size: side of the square image in pixels: 8, 16, 32, ...
        channels: 1 (grey) or 3 (RGB).
        width: feature maps of the first convolution; doubled for each halving of the side.
        initializer: of every kernel, by name; "normal" is the paper's N(0, 0.02).

    Input shape: [B, H, W, C] in [-1, 1]. Output shape: [B, 1], unbounded logits.

    Raises:
        UsageError: an image size that is not 4 times a power of two.

    Example:
        >>> DCGANDiscriminator(image_size=16, channels=1, width=8)(keras.ops.zeros([2, 16, 16, 1])).shape
        TensorShape([2, 1])
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        width: int = 64,
        initializer: str = "normal",
        **kwargs: Any,
    ) -> None:
        config = {
            "image_size": image_size,
            "channels": channels,
            "width": width,
            "initializer": initializer,
        }
        blocks = discriminator_blocks(image_size, width, initializer)
        super().__init__(blocks, (image_size, image_size, channels), config, **kwargs)
