"""The adversarial training step."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from gannet_client.errors import UsageError
from gannet_training import penalties
from gannet_training.augmentation import Augmentation
from gannet_training.draws import Draw
from gannet_training.execution import TrainFunction
from gannet_training.losses import Objective, find_objective
from gannet_training.precision import Guard

Batch = dict[str, tf.Tensor]
Gradients = list[tf.Tensor]
Inputs: TypeAlias = tf.Tensor | tuple[tf.Tensor, tf.Tensor]
"""Of a network: noise or images, with their labels if the model is conditional."""

REAL, FAKE = 0, 1


def replicate(network: keras.Model, given: Inputs) -> keras.Model:
    """Build a second network of the same configuration and the same values, in the current scope.

    Args:
        network: a built, serialisable Keras model.
        given: inputs to build the copy with.

    Returns:
        A copy that shares nothing with the original (`clone_model` would draw new weights).
    """
    copy = type(network).from_config(network.get_config())
    copy(given, training=False)
    copy.set_weights(network.get_weights())
    return copy


class AdversarialModel(keras.Model):
    """A generator and a discriminator that learn against each other through `compile` and `fit`.

    One step makes `discriminator_steps` updates of the discriminator, each on images and noise of its own,
    then one of the generator. The generator's forward pass of the last discriminator update serves its own
    update as well, as in the DCGAN paper's training loop. Everything random comes with the batch (see
    :attr:`draws`), so that the step is a function of weights and batch, on however many replicas of a
    `tf.distribute` strategy it runs.

    `ema_generator` follows the generator as an exponential moving average (Karras et al., 2018,
    arXiv:1710.10196, section 6.1), BatchNorm statistics included; it is the one to sample, evaluate and
    export.

    `fit` takes the batches of :func:`gannet_training.batches`: per name a tensor [B, discriminator_steps,
    ...], `images` in [-1, 1], `labels` int64 if `classes` is given, and the draws.

    Args:
        generator: a Keras model from noise [B, Z] to images [B, H, W, C] in [-1, 1]; from the pair
            (noise, labels int64 [B]) if `classes` is given. Rebuildable from its `get_config`.
        discriminator: a Keras model from images, or (images, labels), to logits [B, 1].
        latent_dim: width Z of the noise.
        objective: a name of :data:`gannet_training.losses.OBJECTIVES`, or an :class:`Objective`.
        classes: number of classes of a conditional model; 0 is an unconditional one.
        discriminator_steps: discriminator updates per generator update.
        label_smoothing: one-sided, in [0, 1): the target of a real image is 1 minus this.
        gradient_penalty: weight of the slope between real and drawn images; 10 in WGAN-GP.
        r1: weight of the discriminator's slope at real images, the paper's gamma.
        r1_interval: generator updates from one R1 to the next; the weight is multiplied by it, as in
            StyleGAN2.
        weight_clip: bound of the critic's weights after each update, 0.01 in the first WGAN; 0 is none.
        augment: differentiable augmentations, for example "color,translation,cutout".
        instance_noise: standard deviation of the noise added to all that the discriminator sees.
        ema_half_life: images after which a generator's weight in the average has halved; 0 follows at once.
        micro_batches: parts into which each replica's batch is cut to save memory; gradients are averaged,
            BatchNorm sees one part at a time.

    Raises:
        UsageError: an unknown objective or augmentation, or options that contradict each other.

    Example:
        >>> from gannet_training.models.dcgan import DCGANDiscriminator, DCGANGenerator
        >>> shape = {"image_size": 8, "channels": 1, "width": 4}
        >>> gan = AdversarialModel(DCGANGenerator(**shape), DCGANDiscriminator(**shape), latent_dim=100)
        >>> gan.compile(keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5))
        >>> batch = {"images": tf.zeros([2, 1, 8, 8, 1]), "noise": tf.zeros([2, 1, 100])}
        >>> sorted(gan.train_step(batch))
        ['d_fake', 'd_loss', 'd_real', 'g_loss']
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        latent_dim: int,
        objective: str | Objective = "non_saturating",
        classes: int = 0,
        discriminator_steps: int = 1,
        label_smoothing: float = 0.0,
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
        r1_interval: int = 16,
        weight_clip: float = 0.0,
        augment: str = "",
        instance_noise: float = 0.0,
        ema_half_life: float = 10_000.0,
        micro_batches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim = latent_dim
        self.classes = classes
        self.discriminator_steps = discriminator_steps
        self.label_smoothing = label_smoothing
        self.gradient_penalty = gradient_penalty
        self.r1 = r1
        self.r1_interval = r1_interval if r1 else 0
        self.weight_clip = weight_clip
        self.instance_noise = instance_noise
        self.ema_half_life = ema_half_life
        self.micro_batches = micro_batches
        self.train_function: TrainFunction | None = None
        self._objective = find_objective(objective, label_smoothing)
        self._augment = Augmentation(augment)
        label = {"labels": ops.zeros((1,), "int64")}
        given = self._with_labels(ops.zeros((1, latent_dim)), label)
        images = generator(given, training=False)
        self.image_shape = tuple(images.shape[1:])
        discriminator(self._with_labels(images, label), training=False)
        self.ema_generator = replicate(generator, given)
        self.ema_generator.trainable = False
        # Not the optimizer's count, which stands still when an update is left out: batches are numbered by
        # it.
        self.steps_made = self.add_weight(
            name="steps_made", dtype="int64", initializer="zeros", trainable=False
        )
        self.d_loss, self.g_loss = keras.metrics.Mean("d_loss"), keras.metrics.Mean("g_loss")
        self.d_real, self.d_fake = keras.metrics.Mean("d_real"), keras.metrics.Mean("d_fake")
        # Everything is built: `fit` must not try to call this model on a batch to find out.
        self.built = True

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        *,
        steps_per_execution: int = 1,
        jit_compile: bool = False,
    ) -> None:
        """Take the two optimizers and create their variables, which cannot be made inside a distributed step.

        Args:
            generator_optimizer: also stands as `optimizer`, where Keras callbacks look for one.
            discriminator_optimizer: a second object; optimizers are not shared.
            steps_per_execution: steps that run without a return to Python; callbacks see every last one.
            jit_compile: compile the step with XLA; slow on CPUs, not available with several replicas.

        Raises:
            UsageError: XLA was asked for with several replicas.
        """
        if jit_compile and self._replicas > 1:
            raise UsageError(f"XLA cannot compile a step of {self._replicas} replicas; leave jit_compile out")
        super().compile(
            optimizer=generator_optimizer,
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
            auto_scale_loss=False,
        )
        self.discriminator_optimizer = discriminator_optimizer
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.guard = Guard(self.dtype_policy.compute_dtype == "float16")

    @property
    def step(self) -> int:
        """Steps made so far, those included whose update was left out as not finite."""
        return int(self.steps_made.numpy())

    @property
    def means(self) -> tuple[keras.metrics.Mean, ...]:
        """The metrics of training: both losses, and the mean of D(x) and D(G(z)) as probabilities."""
        return self.d_loss, self.g_loss, self.d_real, self.d_fake

    @property
    def draws(self) -> dict[str, Draw]:
        """The random numbers that a batch must bring, by name."""
        steps = self.discriminator_steps
        draws = {"noise": Draw("latents", (steps, self.latent_dim))}
        if self.gradient_penalty:
            draws["alpha"] = Draw("uniform", (steps,))
        if self._augment.uniforms:
            draws["augment"] = Draw("uniform", (steps, 2, self._augment.uniforms))
        if self.instance_noise:
            draws["instance_noise"] = Draw("normal", (steps, 2, *self.image_shape))
        return draws

    def make_train_function(self, force: bool = False) -> Callable[[Any], dict[str, tf.Tensor]]:
        """Build what `fit` calls: see :class:`gannet_training.execution.TrainFunction`."""
        if self.train_function is None or force:
            self.train_function = TrainFunction(self)
        self.train_function.next_step = self.step
        return self.train_function

    def train_step(self, data: Batch, *, regularize: bool = False) -> dict[str, tf.Tensor]:
        """Update both networks; runs in every replica on its share of the batch.

        Args:
            data: per name a tensor [B, discriminator_steps, ...].
            regularize: whether this is a step of the lazy R1.
        """
        *earlier, last = (
            {name: value[:, turn] for name, value in data.items()} for turn in range(self.discriminator_steps)
        )
        for batch in earlier:
            self._train_discriminator(batch, None, regularize=False)
        if self.micro_batches == 1:
            with tf.GradientTape() as tape:
                fakes = self._generate(last)
                with tape.stop_recording():
                    self._train_discriminator(last, fakes, regularize)
                loss = self._generator_loss(last, fakes)
            gradients = tape.gradient(loss, self.generator.trainable_variables)
        else:
            self._train_discriminator(last, None, regularize)
            gradients = self._accumulate(self._generator_gradients, last)
        self.guard.apply(self.optimizer, gradients, self.generator.trainable_variables)
        self._update_average(tf.shape(data["images"])[0])
        self.steps_made.assign_add(1)
        return {mean.name: mean.result() for mean in self.means}

    def _train_discriminator(self, batch: Batch, fakes: tf.Tensor | None, regularize: bool) -> None:
        if fakes is None:
            gradients = self._accumulate(
                lambda part: self._discriminator_gradients(part, self._generate(part), regularize), batch
            )
        else:
            gradients = self._discriminator_gradients(batch, tf.stop_gradient(fakes), regularize)
        variables = self.discriminator.trainable_variables
        self.guard.apply(self.discriminator_optimizer, gradients, variables)
        if self.weight_clip:
            for variable in variables:
                variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))

    def _discriminator_gradients(self, batch: Batch, fakes: tf.Tensor, regularize: bool) -> Gradients:
        with tf.GradientTape() as tape:
            # Two passes: BatchNorm must not mix the statistics of real and drawn images.
            real_logits = self._judge(batch, batch["images"], REAL)
            fake_logits = self._judge(batch, fakes, FAKE)
            smoothing = {"smoothing": self.label_smoothing} if self._objective.smooths else {}
            loss = self._objective.discriminator(real_logits, fake_logits, **smoothing)
            total = self._scaled(loss + self._penalties(batch, fakes, regularize))
        self.d_loss.update_state(loss)
        self.d_real.update_state(ops.mean(ops.sigmoid(real_logits)))
        self.d_fake.update_state(ops.mean(ops.sigmoid(fake_logits)))
        return tape.gradient(total, self.discriminator.trainable_variables)

    def _penalties(self, batch: Batch, fakes: tf.Tensor, regularize: bool) -> tf.Tensor | float:
        def discriminate(images: tf.Tensor) -> tf.Tensor:
            return self._judge(batch, images, REAL)

        penalty: tf.Tensor | float = 0.0
        if self.gradient_penalty:
            slope = penalties.gradient_penalty(discriminate, batch["images"], fakes, batch["alpha"])
            penalty += self.gradient_penalty * slope
        if regularize:
            # Lazy: a penalty that comes every k-th step weighs k times as much.
            penalty += self.r1 * self.r1_interval * penalties.r1_penalty(discriminate, batch["images"])
        return penalty

    def _generator_gradients(self, batch: Batch) -> Gradients:
        with tf.GradientTape() as tape:
            loss = self._generator_loss(batch, self._generate(batch))
        return tape.gradient(loss, self.generator.trainable_variables)

    def _generator_loss(self, batch: Batch, fakes: tf.Tensor) -> tf.Tensor:
        fake_logits = self._judge(batch, fakes, FAKE)
        needs_real = self._objective.needs_real
        real_logits = self._judge(batch, batch["images"], REAL) if needs_real else ops.zeros_like(fake_logits)
        loss = self._objective.generator(real_logits, fake_logits)
        self.g_loss.update_state(loss)
        return self._scaled(loss)

    def _generate(self, batch: Batch) -> tf.Tensor:
        return self.generator(self._with_labels(batch["noise"], batch), training=True)

    def _judge(self, batch: Batch, images: tf.Tensor, kind: int) -> tf.Tensor:
        """Logits of what the discriminator is shown: augmented, with instance noise, in full precision."""
        if self._augment.uniforms:
            images = self._augment(images, batch["augment"][:, kind])
        if self.instance_noise:
            images += self.instance_noise * ops.cast(batch["instance_noise"][:, kind], images.dtype)
        logits = self.discriminator(self._with_labels(images, batch), training=True)
        return ops.cast(logits, keras.config.floatx())

    def _with_labels(self, values: tf.Tensor, batch: Batch) -> Inputs:
        return (values, batch["labels"]) if self.classes else values

    def _accumulate(self, gradients_of: Callable[[Batch], Gradients], batch: Batch) -> Gradients:
        """Average the gradients of the micro-batches."""
        parts = {name: tf.split(value, self.micro_batches) for name, value in batch.items()}
        total: Gradients = []
        for place in range(self.micro_batches):
            gradients = gradients_of({name: values[place] for name, values in parts.items()})
            total = [sum(pair) for pair in zip(total, gradients, strict=True)] if total else gradients
        return [gradient / self.micro_batches for gradient in total]

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        # Optimizers sum gradients over replicas: a mean over the global batch needs this divisor, once.
        return self.guard.scale(loss / self._replicas)

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
        return int(tf.distribute.get_strategy().num_replicas_in_sync)
