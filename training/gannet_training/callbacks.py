"""What `fit` leaves in the run directory while it trains."""

import time
from typing import Any

import keras
import tensorflow as tf

from gannet_client import images
from gannet_training.run import Run
from gannet_training.sampling import GRID_PADDING, sample_grid

_GRID = "step-{:08d}.png"


class StopAtStep(keras.callbacks.Callback):
    """Ends `fit` after exactly so many generator updates, also in the middle of an epoch."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop when the number is reached."""
        if self.model.train_function.next_step >= self._steps:
            self.model.stop_training = True


class Checkpoints(keras.callbacks.Callback):
    """Saves a checkpoint every `interval` steps, and at the end."""

    def __init__(self, run: Run, interval: int) -> None:
        super().__init__()
        self._run = run
        self._interval = interval
        self._saved_at = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start counting at the step that training resumes from."""
        self._saved_at = self.model.step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save if the last checkpoint is old enough."""
        if self.model.train_function.next_step - self._saved_at >= self._interval:
            self._save()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Save what came after the last checkpoint."""
        if self.model.step > self._saved_at:
            self._save()

    def _save(self) -> None:
        self._saved_at = self.model.step
        self._run.save_checkpoint(self.model, self._saved_at)


class RunLog(keras.callbacks.Callback):
    """Writes losses and a grid of the same latents every epoch: `metrics.jsonl`, `samples/`, TensorBoard."""

    def __init__(self, run: Run, batch_size: int) -> None:
        super().__init__()
        self._run = run
        self._batch_size = batch_size

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the log; show where training starts."""
        self._writer = tf.summary.create_file_writer(str(self._run.logs))
        self._resume_clock()
        if self.model.step == 0:
            self._draw_grid(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the means of the epoch."""
        step, seconds = self.model.step, time.perf_counter() - self._started
        speed = (step - self._step) * self._batch_size / seconds
        scalars = {name: float(value) for name, value in (logs or {}).items()}
        record = {"step": step, "epoch": epoch + 1, **scalars, "images_per_second": round(speed, 1)}
        self._run.append_metrics(record)
        with self._writer.as_default(step=step):
            for name, value in {**scalars, "images_per_second": speed}.items():
                tf.summary.scalar(name, value)
        self._draw_grid(step)
        self._resume_clock()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the log."""
        self._writer.close()

    def _resume_clock(self) -> None:
        self._started, self._step = time.perf_counter(), self.model.step

    def _draw_grid(self, step: int) -> None:
        picture = images.grid(sample_grid(self.model), padding=GRID_PADDING)
        images.save_png(picture, self._run.samples / _GRID.format(step))
        with self._writer.as_default(step=step):
            tf.summary.image("samples", picture[None])
