"""One training step of the 32x32x3 DCGAN, batch 64, written in four ways: same networks, updates and data.

Generator: dense to 4x4x512, transposed convolutions 5x5 to 256, 128 and 3 maps; discriminator: 64, 128 and
256 maps. Adam for both. The updates alternate: the generator learns from the discriminator just updated.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

BATCH, LATENT_DIM, IMAGES = 64, 100, 512

Step = Callable[[], None]


def gannet() -> Step:
    """Gannet's step as `fit` runs it: with its moving average and its measures, fed by its own pipeline."""
    from gannet_training.startup import start_tensorflow

    start_tensorflow()
    gan = model()
    run, iterator = gan.make_train_function(), _batches(gan.draws)
    return lambda: _wait(run(iterator))


def model() -> Any:
    """The networks in Gannet's model, compiled."""
    from gannet_training import AdversarialModel

    gan = AdversarialModel(*_networks(), latent_dim=LATENT_DIM)
    gan.compile(_fused_adam(), _fused_adam())
    return gan


def tutorial() -> Step:
    """The step of the common Keras tutorials: the generator runs forward once for each update."""
    return _written(_adam, reuse=False)


def hand_written() -> Step:
    """A plain `tf.function` with Gannet's mathematics and optimizer: one forward pass for both updates."""
    return _written(_fused_adam, reuse=True)


def _written(adam: Callable[[], Any], *, reuse: bool) -> Step:
    """By hand: no moving average, nothing measured but the losses, no strategy."""
    from gannet_training.startup import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    from gannet_training.draws import Draw
    from gannet_training.losses import cross_entropy_discriminator, non_saturating_generator

    generator, discriminator = _networks()
    generator(tf.zeros([1, LATENT_DIM]))
    discriminator(tf.zeros([1, 32, 32, 3]))
    g_adam, d_adam = adam(), adam()
    g_adam.build(generator.trainable_variables)
    d_adam.build(discriminator.trainable_variables)
    iterator = _batches({"noise": Draw("latents", (1, LATENT_DIM))})

    def learn_to_tell(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = discriminator(real, training=True), discriminator(fake, training=True)
            loss = sum(cross_entropy_discriminator(*logits))
        variables = discriminator.trainable_variables
        d_adam.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    @tf.function
    def step(batch: dict) -> dict:
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
        return {"d_loss": d_loss, "g_loss": loss}

    return lambda: _wait(step(next(iterator)))


def pytorch() -> Step:
    """Gannet's mathematics in PyTorch: eager, fused Adam, channels last, 2 threads, no moving average."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(2)
    torch.manual_seed(0)

    def up(given: int, maps: int, bias: bool = False) -> nn.Module:
        return nn.ConvTranspose2d(given, maps, 5, stride=2, padding=2, output_padding=1, bias=bias)

    def down(given: int, maps: int, bias: bool = False) -> nn.Module:
        return nn.Conv2d(given, maps, 5, stride=2, padding=2, bias=bias)

    def norm(maps: int) -> nn.Module:
        return nn.BatchNorm2d(maps, eps=1e-5, momentum=0.1)

    generator = nn.Sequential(
        *(nn.Linear(LATENT_DIM, 4 * 4 * 512, bias=False), nn.Unflatten(1, (512, 4, 4)), norm(512), nn.ReLU()),
        *(up(512, 256), norm(256), nn.ReLU(), up(256, 128), norm(128), nn.ReLU()),
        *(up(128, 3, bias=True), nn.Tanh()),
    ).to(memory_format=torch.channels_last)
    discriminator = nn.Sequential(
        *(down(3, 64, bias=True), nn.LeakyReLU(0.2), down(64, 128), norm(128), nn.LeakyReLU(0.2)),
        *(down(128, 256), norm(256), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4 * 4 * 256, 1)),
    ).to(memory_format=torch.channels_last)
    for network in (generator, discriminator):
        for name, value in network.named_parameters():
            if "weight" in name and value.ndim > 1:
                nn.init.normal_(value, 0.0, 0.02)
    g_adam = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999), eps=1e-7, fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999), eps=1e-7, fused=True)
    pool = torch.from_numpy(images().transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
    losses: list[float] = []

    def step() -> None:
        real = pool[torch.randint(IMAGES, (BATCH,))]
        fake = generator(torch.randn(BATCH, LATENT_DIM))
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        for parameter in discriminator.parameters():
            parameter.requires_grad_(False)
        g_loss = F.softplus(-discriminator(fake)).mean()
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        for parameter in discriminator.parameters():
            parameter.requires_grad_(True)
        losses[:] = [d_loss.item(), g_loss.item()]

    return step


def _networks() -> tuple:
    import keras

    from gannet_training.models.dcgan import DCGANDiscriminator, DCGANGenerator

    keras.utils.set_random_seed(0)
    shape: dict[str, Any] = {"image_size": 32, "channels": 3, "width": 64}
    return DCGANGenerator(latent_dim=LATENT_DIM, **shape), DCGANDiscriminator(**shape)


def _adam() -> Any:
    import keras

    return keras.optimizers.Adam(2e-4, beta_1=0.5)


def _fused_adam() -> Any:
    from gannet_training import FusedAdam

    return FusedAdam(2e-4, beta_1=0.5)


def images() -> np.ndarray:
    """What all sides learn from: float32 [IMAGES, 32, 32, 3] in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, (IMAGES, 32, 32, 3)).astype(np.float32)


def _batches(draws: dict) -> Iterator:
    from gannet_training import batches
    from gannet_training.data import in_memory

    return iter(batches(in_memory(images()), batch_size=BATCH, draws=draws, seed=0))


def _wait(values: dict) -> None:
    for value in values.values():
        value.numpy()
