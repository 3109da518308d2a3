"""What `fit` leaves in the run directory while it trains."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from gannet_client import images
from gannet_training.choices import choose
from gannet_training.event_log import EventLog
from gannet_training.health import require_finite_weights
from gannet_training.run import Run
from gannet_training.sampling import sample_grid


class StopAtStep(keras.callbacks.Callback):
    """Ends `fit` after exactly so many generator updates, also in the middle of an epoch."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop when the number is reached."""
        if self.model.train_function.next_step >= self._steps:
            self.model.stop_training = True


class EpochUnderWay(keras.callbacks.Callback):
    """Gives an epoch that an interruption cut the measures of its first part back."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Recall what the checkpoint kept, once."""
        if self._under_way:
            self.model.standing.recall(self.model.measures)
        self._under_way = False


class Checkpoints(keras.callbacks.Callback):
    """Saves a checkpoint every `interval` steps, and at the end; stands behind all that judge an epoch.

    At the last step of an epoch it waits until the epoch is judged: a run that resumed between the two would
    leave the epoch out.
    """

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
        if not (batch + 1 == self.params["steps"] or self.model.stop_training):
            self._save_if_due()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The same, for the last step of an epoch."""
        self.model.standing.judged_step = self.model.step
        self._save_if_due()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Save what came after the last checkpoint."""
        if self.model.step > self._saved_at:
            self._save()

    def _save_if_due(self) -> None:
        if self.model.train_function.next_step - self._saved_at >= self._interval:
            self._save()

    def _save(self) -> None:
        self._saved_at = self.model.step
        save_checkpoint(self._run, self.model)


class Best(keras.callbacks.Callback):
    """Keeps a checkpoint of the epoch with the best measure so far.

    Args:
        run: that takes it.
        metric: name of the measure.
        mode: "min" if less is better, else "max".
    """

    def __init__(self, run: Run, metric: str, mode: str) -> None:
        super().__init__()
        self._run = run
        self._metric = metric
        self._sign = 1.0 if mode == "min" else -1.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save if the epoch was better than all before."""
        value = float(choose("metric", self._metric, logs or {}))
        best = self.model.standing.best
        if math.isfinite(value) and (best is None or self._sign * (best[1] - value) > 0):
            self.model.standing.best = (self.model.step, value)
            save_checkpoint(self._run, self.model, best=True)


def save_checkpoint(run: Run, model: Any, *, best: bool = False) -> None:
    """Save a model in a run, with the sums of the epoch under way.

    Args:
        run: that takes the checkpoint.
        model: made by :func:`gannet_training.build`.
        best: save it as the best, beside the last ones.

    Raises:
        Unhealthy: a weight is not finite.
        GannetError: the disk does not take it.
    """
    require_finite_weights(model)
    model.standing.note(model.measures)
    if best:
        run.save_best(model)
    else:
        run.save_checkpoint(model, model.step)


class RunLog(keras.callbacks.Callback):
    """Writes the measures and a grid of the same latents every epoch, for TensorBoard as well."""

    def __init__(self, run: Run, events: EventLog) -> None:
        super().__init__()
        self._run = run
        self._events = events

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show where training starts."""
        if self.model.step == 0:
            self._draw_grid(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the epoch."""
        step, values = self.model.step, {**_finite(logs or {}), **self._learning_rates()}
        self._run.append_metrics({"step": step, "epoch": epoch + 1, **values})
        self._events.write_scalars(step, values)
        self._draw_grid(step)

    def _learning_rates(self) -> dict[str, float]:
        optimizers = {"g": self.model.optimizer, "d": self.model.discriminator_optimizer}
        return {
            f"{name}_learning_rate": float(str(np.asarray(optimizer.learning_rate)))
            for name, optimizer in optimizers.items()
        }

    def _draw_grid(self, step: int) -> None:
        picture = sample_grid(self.model)
        images.save_png(picture, self._run.sample_grid(step))
        self._events.write_picture(step, "samples", picture)


def _finite(values: Mapping[str, Any]) -> dict[str, float | None]:
    """Values that JSON can express."""
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}
