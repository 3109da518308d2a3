"""The epochs of a run."""

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from gannet_training.adversarial import AdversarialModel
from gannet_training.callbacks import (
    Best,
    Checkpoints,
    EpochUnderWay,
    RunLog,
    StopAtStep,
    save_checkpoint,
)
from gannet_training.choices import choose
from gannet_training.config import TrainConfig
from gannet_training.data import ImageSource, data_errors
from gannet_training.event_log import EventLog
from gannet_training.health import Health, Unhealthy
from gannet_training.imports import is_reference, load_callable
from gannet_training.likeness import MEASURED, Likeness
from gannet_training.pipeline import batches
from gannet_training.progress import Pace, Progress
from gannet_training.restoring import restore_healthy, state
from gannet_training.run import Run
from gannet_training.workers import Agreement, Workers

ROLL_BACKS = 3
"""How often a run goes back to before a symptom began."""
SETTLED_HALF_LIVES = 5
"""After these, the moving average holds 3 % of the untrained generator."""
SEED_BITS = 32

log = logging.getLogger(__name__)


def require_metric(metric: str, model: AdversarialModel) -> None:
    """Refuse the name of a measure that no epoch will have; "" is none, and fine.

    Raises:
        UsageError: there is no such measure, or no such function.
    """
    if is_reference(metric):
        load_callable(metric)
    elif metric:
        measured = [*model.measures.means, *MEASURED, "images_per_second", "data_wait"]
        choose("metric", metric, dict.fromkeys(measured))


@dataclass(frozen=True)
class Fit:
    """Trains a model in a run, from the step that it is at up to the configuration's last.

    Attributes:
        model: made by :func:`gannet_training.build`.
        source: of the images.
        run: prepared; takes checkpoints, metrics and samples.
        config: of the run.
        checkpoint_every: steps from one checkpoint to the next.
        on_symptom: "warn", "stop" or "roll-back".
        roll_backs: at most.
        callbacks: the user's own.
        workers: that train.
    """

    model: AdversarialModel
    source: ImageSource
    run: Run
    config: TrainConfig
    checkpoint_every: int
    on_symptom: str
    roll_backs: int
    callbacks: Sequence[keras.callbacks.Callback]
    workers: Workers

    def __call__(self) -> None:
        """Train, and roll back where need be.

        Raises:
            Unhealthy: a symptom ended training.
        """
        if self.model.step >= self.config.steps:
            return
        if self.on_symptom == "roll-back" and self.model.step == 0:
            save_checkpoint(self.run, self.model)
        with self.workers.stopping() as stop:
            while True:
                try:
                    with self._kept_when_interrupted():
                        self._train(stop)
                except Unhealthy as illness:
                    self._roll_back(illness)
                else:
                    return

    def _train(self, stop: keras.callbacks.Callback) -> None:
        """Train in epochs; one that an interruption cut is completed first: epochs keep their places."""
        first = self.model.standing.judged_step = self.model.step
        log.info("training %s from step %d to %d", self.run.path, first, self.config.steps)
        pace = Pace(self._images_per_step)
        with self._telling(pace) as tellers:
            callbacks = [*self._callbacks(pace, tellers), stop]
            into = first % self._epoch
            if into:
                self._fit(self._epoch - into, first // self._epoch + 1, [EpochUnderWay(), *callbacks])
            if self.model.step < self.config.steps:
                self._fit(self._epoch, -(-self.config.steps // self._epoch), callbacks)

    @contextlib.contextmanager
    def _telling(self, pace: Pace) -> Iterator[list[keras.callbacks.Callback]]:
        """What shows people where training is: of one process alone."""
        if not self.workers.is_chief:
            yield []
            return
        first = self.model.step
        with (
            contextlib.closing(EventLog(self.run.logs)) as events,
            contextlib.closing(Progress(self.config.steps, pace)) as progress,
        ):
            events.start(first + 1 if first else 0)
            yield [RunLog(self.run, events), progress]

    def _callbacks(
        self, pace: Pace, tellers: list[keras.callbacks.Callback]
    ) -> list[keras.callbacks.Callback]:
        """In the order in which they add to the measures, read them, and judge them."""
        metric = self.config.best_metric
        judges = {metric: load_callable(metric)} if is_reference(metric) else {}
        health = Health(
            stop=self.on_symptom != "warn",
            history=self.workers.from_chief(list(self.run.read_metrics())),
            settled_step=math.ceil(SETTLED_HALF_LIVES * self.config.ema_half_life / self.config.batch_size),
        )
        return [
            StopAtStep(self.config.steps),
            *(pace, Likeness(self.source, judges), *self.callbacks, Agreement(self.workers)),
            *(*tellers, health),
            *([Best(self.run, metric, self.config.best_mode)] if metric else []),
            Checkpoints(self.run, self.checkpoint_every),
        ]

    @property
    def _epoch(self) -> int:
        """Steps of an epoch, a whole number of executions."""
        steps = self.source.size // self._images_per_step
        return max(1, steps // self.config.steps_per_execution) * self.config.steps_per_execution

    @property
    def _images_per_step(self) -> int:
        return self.config.batch_size * self.config.discriminator_steps

    def _batches(self, part: tuple[int, int]) -> tf.data.Dataset:
        return batches(
            self.source,
            batch_size=self.config.batch_size,
            draws=self.model.draws,
            # Every roll-back changes the order of the images and the noise.
            seed=self.config.seed + (self.model.standing.made_roll_backs << SEED_BITS),
            labelled=bool(self.model.classes),
            discriminator_steps=self.config.discriminator_steps,
            first_step=self.model.step,
            part=part,
        )

    def _fit(self, steps_per_epoch: int, last: int, callbacks: list[keras.callbacks.Callback]) -> None:
        with data_errors():
            self.model.fit(
                self.workers.share(self._batches),
                epochs=last,
                initial_epoch=self.model.step // self._epoch,
                steps_per_epoch=steps_per_epoch,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )

    def _roll_back(self, illness: Unhealthy) -> None:
        standing = self.model.standing
        made, best = standing.made_roll_backs, standing.best
        if self.on_symptom != "roll-back" or made >= self.roll_backs:
            raise self._stopped(illness, made) from illness
        if self.workers.is_chief:
            restore_healthy(self.model, self.run, illness.healthy_step)
        self.workers.take_from_chief(state(self.model))
        standing.roll_backs.assign(made + 1)
        standing.best = best
        self.run.roll_back(self.model, self.model.step)
        log.warning(
            "%s; rolled back to step %d (%d of %d)", illness, self.model.step, made + 1, self.roll_backs
        )

    def _stopped(self, illness: Unhealthy, roll_backs: int) -> Unhealthy:
        kept = [step for step, _ in self.run.checkpoints()]
        state = f"the checkpoint of step {kept[-1]} is kept" if kept else "no checkpoint was made before"
        after = f" after {roll_backs} roll-back{'s' * (roll_backs > 1)}" if roll_backs else ""
        return illness.told(f"training stopped{after}, {state}")

    @contextlib.contextmanager
    def _kept_when_interrupted(self) -> Iterator[None]:
        """Save what an interruption would lose, if it can be gone on with."""
        try:
            yield
        except KeyboardInterrupt:
            if self.model.step and not self._is_under_way():
                with contextlib.suppress(Unhealthy):
                    save_checkpoint(self.run, self.model)
            kept = max((step for step, _ in self.run.checkpoints()), default=0)
            log.info("stopped at step %d; the same command continues", kept)
            raise

    def _is_under_way(self) -> bool:
        """Whether something has begun that a resumed run could not complete.

        An execution of several steps, of which the one with R1 runs by itself; or the judgement of an epoch
        that is complete.
        """
        step = self.model.step
        ends = step % self._epoch == 0 or step >= self.config.steps
        is_unjudged = ends and self.model.standing.judged_step != step
        return is_unjudged or step % self.config.steps_per_execution != 0
