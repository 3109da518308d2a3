"""The epochs of a run."""

import contextlib
import sys
from dataclasses import dataclass

import keras
import tensorflow as tf

from gannet_training.adversarial import AdversarialModel
from gannet_training.callbacks import Checkpoints, RunLog, StopAtStep
from gannet_training.config import TrainConfig
from gannet_training.data import ImageSource, data_errors
from gannet_training.pipeline import batches
from gannet_training.run import Run
from gannet_training.workers import Workers


@dataclass(frozen=True)
class Fit:
    """Trains a model in a run, from the step that it is at up to the configuration's last.

    Attributes:
        model: compiled.
        source: of the images.
        run: prepared; takes checkpoints, metrics and samples.
        config: of the run.
        checkpoint_every: steps from one checkpoint to the next.
        workers: that train.
    """

    model: AdversarialModel
    source: ImageSource
    run: Run
    config: TrainConfig
    checkpoint_every: int
    workers: Workers

    def __call__(self) -> None:
        """Train in epochs; one that an interruption cut is completed first: epochs keep their places."""
        into = self.model.step % self._epoch
        with self.workers.stopping() as stop:
            if into:
                self._fit(self._epoch - into, self.model.step // self._epoch + 1, stop)
            if self.model.step < self.config.steps:
                self._fit(self._epoch, -(-self.config.steps // self._epoch), stop)

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
            seed=self.config.seed,
            labelled=bool(self.model.classes),
            discriminator_steps=self.config.discriminator_steps,
            first_step=self.model.step,
            part=part,
        )

    def _fit(self, steps_per_epoch: int, last: int, stop: list[keras.callbacks.Callback]) -> None:
        callbacks = [
            StopAtStep(self.config.steps),
            RunLog(self.run, self._images_per_step),
            Checkpoints(self.run, self.checkpoint_every),
            *stop,
        ]
        # Keras prints its progress to stdout, which belongs to results.
        with data_errors(), contextlib.redirect_stdout(sys.stderr):
            self.model.fit(
                self.workers.share(self._batches),
                epochs=last,
                initial_epoch=self.model.step // self._epoch,
                steps_per_epoch=steps_per_epoch,
                callbacks=callbacks,
                shuffle=False,
                verbose=self._verbosity,
            )

    @property
    def _verbosity(self) -> int:
        if not self.workers.is_chief:
            return 0
        return 1 if sys.stderr.isatty() else 2
