"""From a configuration to a trained run."""

import contextlib
import logging
import sys
from pathlib import Path

import keras
import tensorflow as tf

from gannet_client.errors import ModelError, UsageError
from gannet_training.adversarial import AdversarialModel
from gannet_training.callbacks import Checkpoints, RunLog, StopAtStep
from gannet_training.config import TrainConfig
from gannet_training.data import data_set
from gannet_training.models import networks
from gannet_training.pictures import draw_losses, draw_progress
from gannet_training.pipeline import batches
from gannet_training.run import Run

CHECKPOINT_INTERVAL = 500
"""Steps between checkpoints, at least."""

log = logging.getLogger(__name__)


def build(config: TrainConfig) -> AdversarialModel:
    """Build and compile the model of a configuration, in the current strategy's scope.

    The weights follow from `config.seed`; the global seeds of Keras, NumPy and Python are set to it.

    Raises:
        UsageError: there is no such model, or its image size does not fit.
    """
    keras.utils.set_random_seed(config.seed)
    generator, discriminator = networks(config)
    model = AdversarialModel(
        generator,
        discriminator,
        latent_dim=config.latent_dim,
        label_smoothing=config.label_smoothing,
        ema_half_life=config.ema_half_life,
    )
    model.compile(_adam(config), _adam(config))
    return model


def _adam(config: TrainConfig) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(config.learning_rate, beta_1=config.beta_1)


def load(run: Run) -> AdversarialModel:
    """Build a run's model and restore its latest checkpoint.

    Raises:
        ModelError: the run has no checkpoint, or it does not fit the configuration.
    """
    checkpoint = run.latest_checkpoint()
    model = build(run.config())
    _restore(model, checkpoint)
    return model


def train(
    config: TrainConfig, out: Path, *, strategy: tf.distribute.Strategy | None = None, fresh: bool = False
) -> Run:
    """Train a run up to `config.steps`, from its latest checkpoint if it has one.

    Args:
        config: what to learn, and how.
        out: the run directory.
        strategy: where to compute; by default on one device.
        fresh: delete an existing run first.

    Returns:
        The run, complete, with `losses.png` and `progress.png`.

    Raises:
        UsageError: the configuration cannot be trained, or the directory holds another run.
    """
    strategy = strategy or tf.distribute.get_strategy()
    if config.batch_size % strategy.num_replicas_in_sync:
        raise UsageError(
            f"expected a batch size divisible by the {strategy.num_replicas_in_sync} replicas, "
            f"received {config.batch_size}"
        )
    images = data_set(config.data).load(config.image_size).images
    with strategy.scope():
        model = build(config)
    run = Run.prepare(out, config, fresh=fresh)
    if run.checkpoints():
        _resume(model, run)
    if model.step < config.steps:
        _fit(model, images, run, config)
        draw_losses(run, run.path / "losses.png")
        draw_progress(run, run.path / "progress.png")
    return run


def _resume(model: AdversarialModel, run: Run) -> None:
    _restore(model, run.latest_checkpoint())
    run.forget_after(model.step)
    log.info("resuming %s at step %d", run.path, model.step)


def _restore(model: AdversarialModel, checkpoint: Path) -> None:
    try:
        model.load_weights(checkpoint)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ModelError(
            f"cannot restore {checkpoint}: {reason}; delete it to go back to the checkpoint before"
        ) from error


def _fit(model: AdversarialModel, images: "tf.Tensor", run: Run, config: TrainConfig) -> None:
    steps_per_epoch = max(1, len(images) // config.batch_size)
    first_step = model.step
    data = batches(
        images,
        batch_size=config.batch_size,
        latent_dim=config.latent_dim,
        seed=config.seed,
        first_step=first_step,
    )
    callbacks = [
        StopAtStep(config.steps),
        RunLog(run, config.batch_size),
        Checkpoints(run, CHECKPOINT_INTERVAL),
    ]
    # Keras prints its progress to stdout, which belongs to results.
    with contextlib.redirect_stdout(sys.stderr):
        model.fit(
            data,
            epochs=-(-config.steps // steps_per_epoch),
            initial_epoch=first_step // steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
            shuffle=False,
            verbose=1 if sys.stderr.isatty() else 2,
        )
