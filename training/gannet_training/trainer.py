"""From a configuration to a trained run."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from gannet_client.errors import GannetError, UsageError
from gannet_training.adversarial import AdversarialModel
from gannet_training.config import TrainConfig
from gannet_training.data import ImageSource, fingerprint, open_data
from gannet_training.elsewhere import RunElsewhere
from gannet_training.fitting import ROLL_BACKS, Fit, require_metric
from gannet_training.models import networks
from gannet_training.optimizers import optimizers
from gannet_training.pictures import draw_animation, draw_losses, draw_progress
from gannet_training.precision import computing_in
from gannet_training.restoring import LATEST, restore, state
from gannet_training.run import Run
from gannet_training.standing import Standing
from gannet_training.storage import cannot_write
from gannet_training.warm_start import is_run, saved_generator, warm_start
from gannet_training.workers import Workers

CHECKPOINT_INTERVAL = 500
"""Steps between checkpoints."""

MODEL_OPTIONS = {
    *("latent_dim", "objective", "discriminator_steps", "label_smoothing", "gradient_penalty", "r1"),
    *("r1_interval", "weight_clip", "augment", "instance_noise", "ema_half_life", "micro_batches"),
}
"""Fields of the configuration that are arguments of :class:`AdversarialModel`."""

log = logging.getLogger(__name__)


def build(config: TrainConfig) -> AdversarialModel:
    """Build and compile the model of a configuration, in the current strategy's scope.

    The weights follow from `config.seed`; the global seeds of Keras, NumPy and Python are set to it.

    Raises:
        UsageError: there is no such model, or its image size does not fit.
    """
    keras.utils.set_random_seed(config.seed)
    with computing_in(config.precision):
        generator, discriminator = networks(config)
        options = config.model_dump(include=MODEL_OPTIONS)
        model = AdversarialModel(generator, discriminator, classes=len(config.class_names), **options)
    model.compile(*optimizers(config), **config.model_dump(include={"steps_per_execution", "jit_compile"}))
    model.standing = Standing(model.measures)
    return model


def load(run: Run, checkpoint: str = LATEST) -> AdversarialModel:
    """Build a run's model, in full precision, and restore a checkpoint.

    Args:
        run: with a checkpoint.
        checkpoint: "latest" for the newest that is whole, "best" for that of the best epoch, or a step.

    Raises:
        ModelError: the run has no such checkpoint, or it cannot be restored.
    """
    run.checkpoint(checkpoint)
    model = build(run.config().model_copy(update={"precision": "float32"}))
    restore(model, run, checkpoint)
    return model


def train(
    config: TrainConfig,
    out: Path,
    *,
    strategy: tf.distribute.Strategy | None = None,
    fresh: bool = False,
    checkpoint_every: int = CHECKPOINT_INTERVAL,
    on_symptom: str = "warn",
    roll_backs: int = ROLL_BACKS,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Train a run up to `config.steps`, from its latest checkpoint if it has one.

    Args:
        config: what to learn, and how.
        out: the run directory.
        strategy: where to compute; by default on one device.
        fresh: delete an existing run first.
        checkpoint_every: steps from one checkpoint to the next; the last step has one in any case.
        on_symptom: what to do about a symptom, see :class:`gannet_training.health.Health`: "warn" logs it,
            "stop" ends training, "roll-back" goes back to before it began. A term that is not finite ends
            training in the case of "warn", too.
        roll_backs: after so many of them, a symptom ends training.
        callbacks: of your own; what they add to the `logs` of an epoch is logged as its measures are, and
            can be `config.best_metric`.

    Returns:
        The run, complete, with `losses.png`, `progress.png` and `progress.gif`.

    Raises:
        UsageError: the configuration cannot be trained, or the directory holds another run.
        Unhealthy: a symptom ended training.
    """
    strategy = strategy or tf.distribute.get_strategy()
    _require_parts(config, strategy.num_replicas_in_sync)
    workers = Workers(strategy)
    if workers.is_chief:
        Run(out).check(config, fresh=fresh)
    with workers.watched():
        workers.require_same("configuration", config.model_dump)
        with strategy.scope():
            model = build(config)
        if not callbacks:
            require_metric(config.best_metric, model)
        # Outside of the scope, in which every worker has to take part.
        if workers.is_chief and config.init_from and (fresh or not Run(out).checkpoints()):
            _start_from(model, Path(config.init_from))
        with _prepared(workers, config, out, fresh) as run:
            source = _open_data(workers, config, out)
            _resume(model, run)
            workers.take_from_chief(state(model))
            Fit(model, source, run, config, checkpoint_every, on_symptom, roll_backs, callbacks, workers)()
            if workers.is_chief:
                _draw(run)
            workers.wait()
    return Run(out)


def _require_parts(config: TrainConfig, replicas: int) -> None:
    parts = replicas * config.micro_batches
    if config.batch_size % parts:
        raise UsageError(
            f"expected a batch size divisible by {parts}, for {replicas} replicas with "
            f"{config.micro_batches} micro-batches each, received {config.batch_size}"
        )


def _draw(run: Run) -> None:
    draw_losses(run, run.path / "losses.png")
    draw_progress(run, run.path / "progress.png")
    draw_animation(run, run.path / "progress.gif")


@contextlib.contextmanager
def _prepared(workers: Workers, config: TrainConfig, out: Path, fresh: bool) -> Iterator[Run]:
    """Make the run, if this is the worker that writes it."""
    if workers.is_chief:
        with Run(out).locked(), _storage_errors(out):
            yield Run.prepare(out, config, fresh=fresh)
    else:
        yield RunElsewhere(out)


def _open_data(workers: Workers, config: TrainConfig, out: Path) -> ImageSource:
    """Open the data; the chief keeps the index, and who sees it takes it over.

    Raises:
        UsageError: the workers found different images, or the data other classes than the configuration
            names.
    """
    kept = out / "data.jsonl"
    with workers.chief_first():
        source = open_data(
            config.data,
            image_size=config.image_size,
            channels=config.channels,
            index=kept if workers.is_chief or kept.exists() else None,
        )
    workers.require_same("data", lambda: fingerprint(source))
    _require_classes(config, source)
    return source


def _require_classes(config: TrainConfig, source: ImageSource) -> None:
    if config.class_names and source.class_names != config.class_names:
        raise UsageError(
            f"expected the classes {', '.join(config.class_names)} of {config.data}, received "
            f"{', '.join(source.class_names) or 'none'}; every class needs an image that is whole"
        )


@contextlib.contextmanager
def _storage_errors(out: Path) -> Iterator[None]:
    """Give one line to a disk that is full or closed, also when TensorFlow's log meets it."""
    try:
        yield
    except OSError as error:
        raise cannot_write(Path(error.filename or out), error) from error
    except (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError) as error:
        reason = error.message.splitlines()[0]
        raise GannetError(
            f"cannot go on with {out}: {reason}; free memory or disk (or lower --batch-size, --width), "
            "and give the same command again"
        ) from error


def _start_from(model: AdversarialModel, source: Path) -> None:
    if is_run(source):
        other = load(Run(source))
        networks = {name: getattr(other, name) for name in ("generator", "discriminator", "ema_generator")}
    else:
        networks = saved_generator(source)
    warm_start(model, networks, str(source))


def _resume(model: AdversarialModel, run: Run) -> None:
    if run.checkpoints():
        restore(model, run)
        log.info("resuming %s at step %d", run.path, model.step)
    run.forget_after(model.step)
