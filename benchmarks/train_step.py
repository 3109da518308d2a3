"""Training speed of the 32x32x3 DCGAN, batch 64, against the usual ways to write its step.

Compared in one process, turn by turn, all with the same networks, optimizers and alternating updates:

- `tutorial`: the step of the common Keras tutorials, in which the generator runs forward once for each
update. - `hand-written`: a plain `tf.function` with Gannet's own mathematics, one forward pass for both
updates.

`ratio` is Gannet's images per second over theirs, the median over turns.
"""

import json
import statistics
import time
from collections.abc import Callable

from gannet_training.startup import start_tensorflow

BATCH, LATENT_DIM, TURNS, STEPS = 64, 100, 7, 8

Step = Callable[[], None]


def main() -> None:
    start_tensorflow()
    steps = {
        "gannet": gannet_step(),
        "tutorial": written_step(reuse=False),
        "hand-written": written_step(reuse=True),
    }
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(TURNS):
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(STEPS):
                step()
            seconds[name].append((time.perf_counter() - started) / STEPS)
    for other in ("tutorial", "hand-written"):
        turns = zip(seconds["gannet"], seconds[other], strict=True)
        ratio = statistics.median(theirs / ours for ours, theirs in turns)
        detail = {
            "compared with": f"the {other} step, same process, interleaved",
            "images_per_second": {
                name: round(BATCH / statistics.median(values), 1) for name, values in seconds.items()
            },
        }
        print(
            json.dumps(
                {"name": f"train_step_{other}", "ratio": round(ratio, 3), "unit": "1", "detail": detail}
            )
        )


def networks() -> tuple:
    import keras

    from gannet_training.models.dcgan import DCGANDiscriminator, DCGANGenerator

    keras.utils.set_random_seed(0)
    shape = {"image_size": 32, "channels": 3, "width": 64}
    return DCGANGenerator(latent_dim=LATENT_DIM, **shape), DCGANDiscriminator(**shape)


def adam() -> object:
    import keras

    return keras.optimizers.Adam(2e-4, beta_1=0.5)


def data(gan_draws: dict) -> object:
    import numpy as np

    from gannet_training.pipeline import batches

    images = np.random.default_rng(0).uniform(-1, 1, (512, 32, 32, 3)).astype(np.float32)
    return iter(batches(images, batch_size=BATCH, draws=gan_draws, seed=0))


def gannet_step() -> Step:
    """The step as `fit` runs it, with its moving average and metrics, fed by its own pipeline."""
    from gannet_training import AdversarialModel

    gan = AdversarialModel(*networks(), latent_dim=LATENT_DIM)
    gan.compile(adam(), adam())
    run, iterator = gan.make_train_function(), data(gan.draws)
    return lambda: run(iterator)


def written_step(*, reuse: bool) -> Step:
    """The same updates by hand: no moving average, no metrics but the losses, no strategy."""
    import tensorflow as tf

    from gannet_training.draws import Draw
    from gannet_training.losses import cross_entropy_discriminator, non_saturating_generator

    generator, discriminator = networks()
    generator(tf.zeros([1, LATENT_DIM]))
    discriminator(tf.zeros([1, 32, 32, 3]))
    g_adam, d_adam = adam(), adam()
    g_adam.build(generator.trainable_variables)
    d_adam.build(discriminator.trainable_variables)
    iterator = data({"noise": Draw("latents", (1, LATENT_DIM))})

    def learn_to_tell(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = discriminator(real, training=True), discriminator(fake, training=True)
            loss = cross_entropy_discriminator(*logits)
        variables = discriminator.trainable_variables
        d_adam.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    @tf.function
    def step(batch: dict) -> tuple:
        real, noise = batch["images"][:, 0], batch["noise"][:, 0]
        if not reuse:
            d_loss = learn_to_tell(real, generator(noise, training=True))
        with tf.GradientTape() as tape:
            fake = generator(noise, training=True)
            if reuse:
                with tape.stop_recording():
                    d_loss = learn_to_tell(real, tf.stop_gradient(fake))
            logits = discriminator(fake, training=True)
            loss = non_saturating_generator(logits, logits)
        variables = generator.trainable_variables
        g_adam.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return d_loss, loss

    def run() -> None:
        for value in step(next(iterator)):
            value.numpy()

    return run


if __name__ == "__main__":
    main()
