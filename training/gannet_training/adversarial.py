"""The adversarial training step."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from gannet_training.losses import discriminator_loss, generator_loss


def replicate(network: keras.Model, latent_dim: int) -> keras.Model:
    """Build a second network of the same configuration and the same values, in the current scope.

    Args:
        network: a built, serialisable Keras model that takes noise of shape [B, latent_dim].
        latent_dim: width Z of the noise.

    Returns:
        A copy that shares nothing with the original (`clone_model` would draw new weights).
    """
    copy = type(network).from_config(network.get_config())
    copy(ops.zeros((1, latent_dim)), training=False)
    copy.set_weights(network.get_weights())
    return copy


class AdversarialModel(keras.Model):
    """A generator and a discriminator that learn against each other through `compile` and `fit`.

    One step updates the discriminator, then the generator, alternately; the generator runs forward once and
    serves both updates, as in the DCGAN paper's own training loop. The step runs under any
    `tf.distribute` strategy in whose scope the model was made and compiled. `ema_generator` follows
    the generator as an exponential moving average (Karras et al., 2018, arXiv:1710.10196, section 6.1), its
    BatchNorm statistics included; it is the one to sample, evaluate and export.

    `fit` takes batches ``{"images": [B, H, W, C] in [-1, 1], "noise": [B, Z]}``; see
    :func:`gannet_training.pipeline.batches`.

    Args:
        generator: a Keras model from noise [B, Z] to images [B, H, W, C] in [-1, 1]; rebuildable from
            its `get_config`.
        discriminator: a Keras model from images to logits [B, 1].
        latent_dim: width Z of the noise.
        label_smoothing: one-sided, in [0, 1): the target of a real image is 1 minus this.
        ema_half_life: images after which a generator's weight in the average has halved; 0 follows at once.

    Example:
        >>> from gannet_training.models.dcgan import DCGANDiscriminator, DCGANGenerator
        >>> shape = {"image_size": 8, "channels": 1, "width": 4}
        >>> gan = AdversarialModel(DCGANGenerator(**shape), DCGANDiscriminator(**shape), latent_dim=100)
        >>> gan.compile(keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5))
        >>> batch = {"images": tf.zeros([2, 8, 8, 1]), "noise": tf.zeros([2, 100])}
        >>> sorted(gan.train_step(batch))
        ['d_fake', 'd_loss', 'd_real', 'g_loss']
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        latent_dim: int,
        label_smoothing: float = 0.0,
        ema_half_life: float = 10_000.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim = latent_dim
        self.label_smoothing = label_smoothing
        self.ema_half_life = ema_half_life
        discriminator(generator(ops.zeros((1, latent_dim)), training=False), training=False)
        self.ema_generator = replicate(generator, latent_dim)
        self.ema_generator.trainable = False
        self.d_loss, self.g_loss = keras.metrics.Mean("d_loss"), keras.metrics.Mean("g_loss")
        self.d_real, self.d_fake = keras.metrics.Mean("d_real"), keras.metrics.Mean("d_fake")
        # Everything is built: `fit` must not try to call this model on a batch to find out.
        self.built = True

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
    ) -> None:
        """Take the two optimizers and create their variables, which cannot be made inside a distributed step.

        Args:
            generator_optimizer: also stands as `optimizer`, where Keras callbacks look for one.
            discriminator_optimizer: a second object; optimizers are not shared.
        """
        super().compile(optimizer=generator_optimizer, jit_compile=False)
        self.discriminator_optimizer = discriminator_optimizer
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def step(self) -> int:
        """Generator updates made so far."""
        return int(self.optimizer.iterations.numpy())

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update both networks once; runs in every replica on its share of the batch."""
        images, noise = data["images"], data["noise"]
        with tf.GradientTape() as tape:
            fakes = self.generator(noise, training=True)
            with tape.stop_recording():
                self._update_discriminator(images, tf.stop_gradient(fakes))
            loss = generator_loss(self.discriminator(fakes, training=True))
            scaled_loss = loss / self._replicas
        variables = self.generator.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(scaled_loss, variables), variables, strict=True))
        self._update_average(tf.shape(images)[0])
        self.g_loss.update_state(loss)
        means = (self.d_loss, self.g_loss, self.d_real, self.d_fake)
        return {mean.name: mean.result() for mean in means}

    def _update_discriminator(self, images: tf.Tensor, fakes: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            # Two passes: BatchNorm must not mix the statistics of real and drawn images.
            real_logits = self.discriminator(images, training=True)
            fake_logits = self.discriminator(fakes, training=True)
            loss = discriminator_loss(real_logits, fake_logits, self.label_smoothing)
            scaled_loss = loss / self._replicas
        variables = self.discriminator.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        self.discriminator_optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.d_loss.update_state(loss)
        self.d_real.update_state(ops.mean(ops.sigmoid(real_logits)))
        self.d_fake.update_state(ops.mean(ops.sigmoid(fake_logits)))

    def _update_average(self, images_per_replica: tf.Tensor) -> None:
        images = tf.cast(images_per_replica * self._replicas, keras.config.floatx())
        decay = 0.5 ** (images / self.ema_half_life) if self.ema_half_life else ops.zeros_like(images)
        for average, current in zip(self.ema_generator.variables, self.generator.variables, strict=True):
            if "float" in str(average.dtype):
                step = (1.0 - ops.cast(decay, average.dtype)) * (current - average)
                average.assign(average + step)
            else:
                average.assign(current)

    @property
    def _replicas(self) -> int:
        # Optimizers sum gradients over replicas: a mean over the global batch needs this divisor, once.
        return int(tf.distribute.get_strategy().num_replicas_in_sync)
