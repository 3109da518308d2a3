"""How a run gets on: its speed, what waits for what, and when it will be done."""

import contextlib
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

import keras

BAR_WIDTH = 20
REDRAWN_EVERY = 0.1
"""Seconds."""
_SHOWN = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}


class Pace(keras.callbacks.Callback):
    """Adds to the measures of each epoch how fast it was.

    `images_per_second` counts real images; `data_wait` is the share of the wall time, 0 to 1, in which
    training waited for the next batch. Several steps per execution fetch their batches inside of the compiled
    function, where the waiting cannot be told from the computing: there it is left out.

    Args:
        images_per_step: real images that a step learns from.
    """

    def __init__(self, images_per_step: int) -> None:
        super().__init__()
        self._images_per_step = images_per_step

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        function = self.model.train_function
        self._started, self._step, self._waited = time.perf_counter(), function.next_step, function.waited

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the speed of the epoch."""
        if logs is not None:
            logs.update(self.measure())

    def measure(self) -> dict[str, float]:
        """The speed since the epoch began."""
        function, seconds = self.model.train_function, time.perf_counter() - self._started
        images = (function.next_step - self._step) * self._images_per_step
        speed = {"images_per_second": round(images / seconds, 1)}
        if self.model.steps_per_execution == 1:
            speed["data_wait"] = round((function.waited - self._waited) / seconds, 4)
        return speed


class Progress(keras.callbacks.Callback):
    """Shows on stderr where the whole run is: a bar on a terminal, one line per epoch elsewhere.

    Args:
        steps: of the whole run.
        pace: the callback that measures the speed; it comes before this one.
    """

    def __init__(self, steps: int, pace: Pace) -> None:
        super().__init__()
        self._steps = steps
        self._pace = pace
        self._drawn_at = 0.0
        self._first: tuple[int, float] | None = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw the bar, a few times per second."""
        now, step = time.perf_counter(), self.model.train_function.next_step
        # The first execution compiles the step: no measure of the time that is left.
        self._first = self._first or (step, now)
        if sys.stderr.isatty() and now - self._drawn_at > REDRAWN_EVERY:
            self._drawn_at = now
            self._draw({**(logs or {}), **self._pace.measure()}, end="")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Complete a line."""
        if sys.stderr.isatty():
            self._draw(logs or {}, end="\n")
        else:
            _show(f"epoch {epoch + 1} - step {self._line(logs or {})}\n")
        self._drawn_at = 0.0

    def close(self) -> None:
        """End a line that was begun."""
        if self._drawn_at:
            _show("\n")

    def _draw(self, logs: Mapping[str, Any], end: str) -> None:
        done = self.model.train_function.next_step / self._steps
        line = f"{bar(done)} {self._line(logs)}"[: shutil.get_terminal_size().columns - 1]
        # From the start of the line, without what is left of a longer one.
        _show(f"\r{line}\x1b[K{end}")

    def _line(self, logs: Mapping[str, Any]) -> str:
        step = self.model.train_function.next_step
        first_step, started = self._first or (step, 0.0)
        seconds = (time.perf_counter() - started) / (step - first_step) if step > first_step else None
        left = None if seconds is None else seconds * (self._steps - step)
        return facts(step, self._steps, left, logs)


def _show(text: str) -> None:
    # A terminal that was closed, or a reader that left, is no reason to end a training.
    with contextlib.suppress(OSError):
        print(text, end="", file=sys.stderr, flush=True)


def bar(done: float) -> str:
    """Draw a bar of a share that is done.

    Example:
        >>> bar(0.25)
        '━━━━━───────────────'
    """
    full = int(BAR_WIDTH * done)
    return "━" * full + "─" * (BAR_WIDTH - full)


def facts(step: int, steps: int, seconds_left: float | None, logs: Mapping[str, float]) -> str:
    """Say where a run is.

    Args:
        step: made so far.
        steps: of the whole run.
        seconds_left: as far as that is known.
        logs: measures of the epoch.

    Example:
        >>> measures = {"d_loss": 0.6931, "g_loss": 1.2, "images_per_second": 812.4, "data_wait": 0.004}
        >>> facts(1200, 2000, 83.2, measures)
        '1200/2000 - 1:23 left - d_loss 0.6931 - g_loss 1.2000 - 812 images/s - 0.4% waiting for data'
    """
    parts = [f"{step}/{steps}"]
    if seconds_left is not None and step < steps:
        parts.append(f"{duration(seconds_left)} left")
    parts += [f"{label} {logs[name]:.4f}" for name, label in _SHOWN.items() if name in logs]
    if "images_per_second" in logs:
        parts.append(f"{logs['images_per_second']:.0f} images/s")
    if "data_wait" in logs:
        parts.append(f"{logs['data_wait']:.1%} waiting for data")
    return " - ".join(parts)


def duration(seconds: float) -> str:
    """Write a duration as a clock does.

    Example:
        >>> duration(59.6), duration(3661)
        ('1:00', '1:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
