"""The conditional GAN of Mirza and Osindero, 2014 (arXiv:1411.1784), on the body of a DCGAN."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from gannet_training.initializers import initializer as make_initializer
from gannet_training.models.dcgan import discriminator_blocks, generator_blocks
from gannet_training.models.network import Network

EMBEDDING = 50
"""Width of what a class adds to the noise."""

Pair = tuple[tf.Tensor, tf.Tensor]
"""Noise or images, and their labels."""


@keras.saving.register_keras_serializable("gannet")
class CGANGenerator(Network):
    """Draws images of given classes: an embedding of the class joins the noise in front of a DCGAN's body.

    Args:
        image_size: side of the square image in pixels: 8, 16, 32, ...
        channels: 1 (grey) or 3 (RGB).
        classes: number K of classes.
        latent_dim: width Z of the noise.
        width: feature maps of the last hidden layer; doubled for each halving of the side.
        initializer: of every kernel, by name; "normal" is the paper's N(0, 0.02).

    Input shape: a pair, [B, Z] of standard normal noise and labels [B], integers from 0 to K - 1. Output
    shape: [B, H, W, C] in [-1, 1].

    Raises:
        UsageError: an image size that is not 4 times a power of two.

    Example:
        >>> generator = CGANGenerator(image_size=16, channels=1, classes=10, width=8)
        >>> generator((ops.zeros([2, 100]), ops.array([3, 7]))).shape
        TensorShape([2, 16, 16, 1])
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        classes: int,
        latent_dim: int = 100,
        width: int = 64,
        initializer: str = "normal",
        **kwargs: Any,
    ) -> None:
        config = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "latent_dim": latent_dim,
            "width": width,
            "initializer": initializer,
        }
        blocks = generator_blocks(latent_dim + EMBEDDING, image_size, channels, width, initializer)
        super().__init__(blocks, (latent_dim + EMBEDDING,), config, **kwargs)
        # Of the size of the noise that it stands beside.
        self.embedding = keras.layers.Embedding(classes, EMBEDDING, embeddings_initializer="random_normal")

    def build(self, input_shape: Any = None) -> None:
        """Build the embedding and every block."""
        self.embedding.build()
        super().build(input_shape)

    def call(self, given: Pair, training: bool = False) -> tf.Tensor:
        """Draw images."""
        noise, labels = given
        return super().call(ops.concatenate([noise, self.embedding(labels)], axis=-1), training=training)


@keras.saving.register_keras_serializable("gannet")
class CGANDiscriminator(Network):
    """Tells real images from drawn ones of the same class: a map of the class is a further channel.

    Behind that channel, a DCGAN's body.

    Args:
        image_size: side of the square image in pixels: 8, 16, 32, ...
        channels: 1 (grey) or 3 (RGB).
        classes: number K of classes.
        width: feature maps of the first convolution; doubled for each halving of the side.
        initializer: of every kernel, by name; "normal" is the paper's N(0, 0.02).

    Input shape: a pair, [B, H, W, C] in [-1, 1] and labels [B], integers from 0 to K - 1. Output shape:
    [B, 1], unbounded logits.

    Raises:
        UsageError: an image size that is not 4 times a power of two.

    Example:
        >>> discriminator = CGANDiscriminator(image_size=16, channels=1, classes=10, width=8)
        >>> discriminator((ops.zeros([2, 16, 16, 1]), ops.array([3, 7]))).shape
        TensorShape([2, 1])
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        classes: int,
        width: int = 64,
        initializer: str = "normal",
        **kwargs: Any,
    ) -> None:
        config = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "width": width,
            "initializer": initializer,
        }
        blocks = discriminator_blocks(image_size, width, initializer)
        super().__init__(blocks, (image_size, image_size, channels + 1), config, **kwargs)
        self.class_map = keras.layers.Embedding(
            classes, image_size**2, embeddings_initializer=make_initializer(initializer)
        )

    def build(self, input_shape: Any = None) -> None:
        """Build the map and every block."""
        self.class_map.build()
        super().build(input_shape)

    def call(self, given: Pair, training: bool = False) -> tf.Tensor:
        """Judge images."""
        images, labels = given
        side = images.shape[1]
        channel = ops.reshape(self.class_map(labels), [-1, side, side, 1])
        return super().call(ops.concatenate([images, channel], axis=-1), training=training)
