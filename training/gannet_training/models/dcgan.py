"""The deep convolutional GAN of Radford et al., 2016 (arXiv:1511.06434)."""

from typing import Any

import keras
import tensorflow as tf

from gannet_client.errors import UsageError
from gannet_training.initializers import initializer as make_initializer

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


@keras.saving.register_keras_serializable("gannet")
class DCGANGenerator(keras.Model):
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
        >>> DCGANGenerator(image_size=16, channels=1, width=8)(tf.zeros([2, 100])).shape
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
        super().__init__(**kwargs)
        self._config: dict[str, Any] = {
            "image_size": image_size,
            "channels": channels,
            "latent_dim": latent_dim,
            "width": width,
            "initializer": initializer,
        }
        widest = width << doublings(image_size)
        layers = keras.layers
        self.blocks: list[keras.layers.Layer] = [
            layers.Dense(
                SMALLEST_SIDE**2 * widest, use_bias=False, kernel_initializer=make_initializer(initializer)
            ),
            layers.Reshape((SMALLEST_SIDE, SMALLEST_SIDE, widest)),
            _batch_norm(),
            layers.ReLU(),
        ]
        for level in range(1, doublings(image_size)):
            self.blocks += [self._upsample(widest >> level, use_bias=False), _batch_norm(), layers.ReLU()]
        self.blocks.append(self._upsample(channels, use_bias=True))
        # tanh ends in float32 under any mixed precision: an image is never rounded to bfloat16.
        self.blocks.append(layers.Activation("tanh", dtype=keras.config.floatx()))

    def _upsample(self, filters: int, use_bias: bool) -> keras.layers.Layer:
        return keras.layers.Conv2DTranspose(
            filters,
            5,
            strides=2,
            padding="same",
            use_bias=use_bias,
            kernel_initializer=make_initializer(self._config["initializer"]),
        )

    @property
    def latent_dim(self) -> int:
        """Width Z of the noise."""
        return self._config["latent_dim"]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Build every layer; the shape follows from the configuration."""
        shape: tuple[int | None, ...] = (None, self.latent_dim)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def call(self, noise: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Draw one image per row of `noise`."""
        return _chain(self.blocks, noise, training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that rebuild this generator."""
        return {**super().get_config(), **self._config}


@keras.saving.register_keras_serializable("gannet")
class DCGANDiscriminator(keras.Model):
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
        >>> DCGANDiscriminator(image_size=16, channels=1, width=8)(tf.zeros([2, 16, 16, 1])).shape
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
        super().__init__(**kwargs)
        self._config: dict[str, Any] = {
            "image_size": image_size,
            "channels": channels,
            "width": width,
            "initializer": initializer,
        }
        layers = keras.layers
        self.blocks: list[keras.layers.Layer] = []
        for level in range(doublings(image_size)):
            self.blocks.append(
                layers.Conv2D(
                    width << level,
                    5,
                    strides=2,
                    padding="same",
                    use_bias=level == 0,
                    kernel_initializer=make_initializer(initializer),
                )
            )
            if level > 0:
                self.blocks.append(_batch_norm())
            self.blocks.append(layers.LeakyReLU(0.2))
        self.blocks += [layers.Flatten(), layers.Dense(1, kernel_initializer=make_initializer(initializer))]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Build every layer; the shape follows from the configuration."""
        side, channels = self._config["image_size"], self._config["channels"]
        shape: tuple[int | None, ...] = (None, side, side, channels)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Judge each image: a positive logit says real."""
        return _chain(self.blocks, images, training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that rebuild this discriminator."""
        return {**super().get_config(), **self._config}


def _chain(blocks: list[keras.layers.Layer], values: tf.Tensor, training: bool) -> tf.Tensor:
    for block in blocks:
        normalizes = isinstance(block, keras.layers.BatchNormalization)
        values = block(values, training=training) if normalizes else block(values)
    return values
