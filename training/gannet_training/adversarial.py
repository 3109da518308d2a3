"""The adversarial training step."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops
from keras.optimizers import Optimizer

from gannet_client.errors import UsageError
from gannet_training import penalties
from gannet_training.augmentation import Augmentation
from gannet_training.draws import Draw
from gannet_training.execution import TrainFunction
from gannet_training.losses import Objective, find_objective
from gannet_training.measures import Measures
from gannet_training.micro_batches import Batch, Gradients, accumulate, dense
from gannet_training.moving_average import Inputs, follow, replicate
from gannet_training.precision import Guard

REAL, FAKE = 0, 1
MEASURED = (
    *("d_real", "d_fake", "d_loss_real", "d_loss_fake", "d_loss", "penalty", "d_gradient_norm"),
    *("g_loss", "g_gradient_norm"),
)
"""In the order of their computation; D(x) and D(G(z)) as probabilities."""


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
        >>> [name for name in gan.train_step(batch) if name.endswith("loss")]
        ['d_loss', 'g_loss']
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
        # The optimizer's count stands still when an update is left out, and batches are numbered by this.
        self.steps_made = self.add_weight(dtype="int64", initializer="zeros", trainable=False, name="steps")
        self.measures = Measures(name for name in MEASURED if name != "penalty" or gradient_penalty or r1)
        self.built = True

    def compile(
        self,
        generator_optimizer: Optimizer,
        discriminator_optimizer: Optimizer,
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
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.guard = Guard(self.dtype_policy.compute_dtype == "float16")

    @property
    def step(self) -> int:
        """Steps made so far, those included whose update was left out as not finite."""
        return int(self.steps_made.numpy())

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

    def _maybe_symbolic_build(self, *_: Any, **__: Any) -> None:
        """Everything is built: `fit` needs no batch to find out, which it fails to do on several workers."""

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
            gradients = dense(tape.gradient(loss, self.generator.trainable_variables))
        else:
            self._train_discriminator(last, None, regularize)
            gradients = accumulate(self._generator_gradients, last, self.micro_batches)
        self._apply(self.optimizer, gradients, self.generator, "g_gradient_norm")
        images = tf.shape(data["images"])[0] * self._replicas
        follow(self.ema_generator, self.generator, images, self.ema_half_life)
        self.steps_made.assign_add(1)
        return self.measures.results()

    def _train_discriminator(self, batch: Batch, fakes: tf.Tensor | None, regularize: bool) -> None:
        if fakes is None:
            gradients = accumulate(
                lambda part: self._discriminator_gradients(part, self._generate(part), regularize),
                batch,
                self.micro_batches,
            )
        else:
            gradients = self._discriminator_gradients(batch, tf.stop_gradient(fakes), regularize)
        self._apply(self.discriminator_optimizer, gradients, self.discriminator, "d_gradient_norm")
        if self.weight_clip:
            for variable in self.discriminator.trainable_variables:
                variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))

    def _discriminator_gradients(self, batch: Batch, fakes: tf.Tensor, regularize: bool) -> Gradients:
        with tf.GradientTape() as tape:
            # Two passes: BatchNorm must not mix the statistics of real and drawn images.
            real_logits = self._judge(batch, batch["images"], REAL)
            fake_logits = self._judge(batch, fakes, FAKE)
            smoothing = {"smoothing": self.label_smoothing} if self._objective.smooths else {}
            real_loss, fake_loss = self._objective.discriminator(real_logits, fake_logits, **smoothing)
            loss = real_loss + fake_loss
            total = self._scaled(loss + self._penalties(batch, fakes, regularize))
        d_real, d_fake = (ops.mean(ops.sigmoid(logits)) for logits in (real_logits, fake_logits))
        self.measures.record(d_real=d_real, d_fake=d_fake)
        self.measures.record(d_loss_real=real_loss, d_loss_fake=fake_loss, d_loss=loss)
        return dense(tape.gradient(total, self.discriminator.trainable_variables))

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
        if self.gradient_penalty or regularize:
            self.measures.record(penalty=penalty)
        return penalty

    def _generator_gradients(self, batch: Batch) -> Gradients:
        with tf.GradientTape() as tape:
            loss = self._generator_loss(batch, self._generate(batch))
        return dense(tape.gradient(loss, self.generator.trainable_variables))

    def _generator_loss(self, batch: Batch, fakes: tf.Tensor) -> tf.Tensor:
        fake_logits = self._judge(batch, fakes, FAKE)
        needs_real = self._objective.needs_real
        real_logits = self._judge(batch, batch["images"], REAL) if needs_real else ops.zeros_like(fake_logits)
        loss = self._objective.generator(real_logits, fake_logits)
        self.measures.record(g_loss=loss)
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

    def _apply(self, optimizer: Optimizer, gradients: Gradients, network: keras.Model, name: str) -> None:
        # Of this replica alone: the sum over replicas happens within the optimizer.
        norm = self.guard.unscaled(tf.linalg.global_norm(gradients)) * self._replicas
        self.measures.record(**{name: norm})
        self.guard.apply(optimizer, gradients, network.trainable_variables)

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        # Optimizers sum gradients over replicas: a mean over the global batch needs this divisor, once.
        return self.guard.scale(loss / self._replicas)

    @property
    def _replicas(self) -> int:
        return int(tf.distribute.get_strategy().num_replicas_in_sync)
