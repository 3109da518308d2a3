"""The run directory: everything that a training run leaves behind, under one path."""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gannet_client.errors import ModelError, UsageError
from gannet_training.config import TrainConfig
from gannet_training.storage import PARTIAL, delete, save_weights, write_atomically

KEPT_CHECKPOINTS = 3
_CHECKPOINT = "step-{:08d}.weights.h5"
_CHECKPOINT_NAME = re.compile(r"step-([0-9]+)\.weights\.h5")
_BEST = "best.weights.h5"
_GRID = "step-{:08d}.png"
_GRID_NAME = re.compile(r"step-([0-9]+)\.png")
_LOCK = ".lock"
_ENTRIES = {
    *("checkpoints", "config.json", "data.jsonl", "logs", "losses.png", "metrics.jsonl"),
    *("progress.gif", "progress.png", "samples", _LOCK),
}
"""All that a run leaves in its directory: one with anything else in it is somebody else's."""


@dataclass(frozen=True)
class Run:
    """A run directory: `config.json`, `checkpoints/`, `samples/`, `logs/`, `metrics.jsonl`."""

    path: Path

    @property
    def samples(self) -> Path:
        """Sample grids, one PNG per epoch."""
        return self.path / "samples"

    def sample_grid(self, step: int) -> Path:
        """The sample grid of a step."""
        return self.samples / _GRID.format(step)

    @property
    def logs(self) -> Path:
        """TensorBoard's log directory."""
        return self.path / "logs"

    @property
    def metrics(self) -> Path:
        """One JSON line per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def _config(self) -> Path:
        return self.path / "config.json"

    @property
    def _checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @classmethod
    def prepare(cls, path: Path, config: TrainConfig, *, fresh: bool = False) -> "Run":
        """Make a run directory, or take up the one that is there.

        Args:
            path: of the directory; made if missing.
            config: what is asked for.
            fresh: delete an existing run first.

        Raises:
            UsageError: the directory holds something else, see :meth:`check`, or cannot be written.
        """
        run = cls(path)
        run.check(config, fresh=fresh)
        try:
            if fresh:
                run._delete()
            run._checkpoints.mkdir(parents=True, exist_ok=True)
            run.samples.mkdir(exist_ok=True)
            run._delete_partial()
            write_atomically(run._config, config.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise UsageError(
                f"cannot write the run directory {path}: {error.strerror or error}; choose another --out"
            ) from error
        return run

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for the one process that trains in it; makes it if missing.

        Raises:
            UsageError: another process holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / _LOCK).open("w")
        except OSError as error:
            raise UsageError(
                f"cannot write the run directory {self.path}: {error.strerror}; choose another --out"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"{self.path} is being trained by another process; wait for it or choose another --out"
                ) from None
            yield

    def _delete(self) -> None:
        for entry in self.path.iterdir() if self.path.exists() else ():
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _delete_partial(self) -> None:
        """Delete what a process left that was killed while it wrote a file."""
        for directory in (self.path, self._checkpoints):
            for file in directory.glob(f"{PARTIAL}*"):
                file.unlink()

    def check(self, config: TrainConfig, *, fresh: bool = False) -> None:
        """Refuse a directory that a run of this configuration may not use; changes nothing.

        The number of steps may grow: that continues a run. Any other difference is refused.

        Raises:
            UsageError: the directory holds another configuration (each difference is listed), a run of more
                steps, or anything that no run leaves.
        """
        foreign = self._foreign_entries()
        if foreign:
            raise UsageError(
                f"{self.path} exists and is not a run directory (it holds {foreign[0]}); choose another --out"
            )
        if fresh or not self._config.exists():
            return
        existing = self.config()
        differences = existing.differences(config.model_copy(update={"steps": existing.steps}))
        if differences:
            raise UsageError(
                f"{self.path} holds a run of another configuration: {'; '.join(differences)}. "
                "Use --fresh to delete it and start anew, or another --out"
            )
        reached = max((step for step, _ in self.checkpoints()), default=0)
        if reached > config.steps:
            raise UsageError(
                f"{self.path} is at step {reached} already, received {config.steps} steps; "
                "use --fresh to start anew"
            )

    def _foreign_entries(self) -> list[str]:
        try:
            found = set(os.listdir(self.path)) - _ENTRIES
            return sorted(name for name in found if not name.startswith(PARTIAL))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(
                f"cannot use {self.path} as a run directory: {error.strerror}; choose another --out"
            ) from error

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open an existing run.

        Raises:
            UsageError: there is no run directory at the path.
        """
        run = cls(path)
        if not run._config.is_file():
            raise UsageError(
                f"{path} is not a run directory (no config.json); expected one that `gannet train` wrote"
            )
        return run

    def config(self) -> TrainConfig:
        """Read the configuration.

        Raises:
            UsageError: `config.json` is damaged or of another release.
        """
        try:
            return TrainConfig.parse(json.loads(self._config.read_text(encoding="utf-8")))
        except (UsageError, ValueError, TypeError, OSError) as error:
            raise UsageError(
                f"cannot read {self._config}: {error}; expected what `gannet train` wrote there"
            ) from error

    def checkpoints(self) -> list[tuple[int, Path]]:
        """List the checkpoints as (step, file), oldest first.

        Raises:
            UsageError: the directory cannot be read.
        """
        try:
            names = os.listdir(self._checkpoints)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"cannot read {self._checkpoints}: {error.strerror}") from error
        matches = (_CHECKPOINT_NAME.fullmatch(name) for name in names)
        return sorted((int(match[1]), self._checkpoints / match[0]) for match in matches if match)

    def latest_checkpoint(self) -> Path:
        """Find the checkpoint of the highest step.

        Raises:
            ModelError: there is none yet.
        """
        checkpoints = self.checkpoints()
        if not checkpoints:
            raise ModelError(
                f"the run {self.path} has no checkpoint yet; train it first: "
                "a checkpoint is written every few hundred steps, on Ctrl-C and at the end"
            )
        return checkpoints[-1][1]

    def checkpoint(self, which: str) -> Path:
        """Find a checkpoint.

        Args:
            which: "latest", "best", or the number of a step.

        Raises:
            ModelError: there is none; the message lists those that there are.
        """
        if which == "latest":
            return self.latest_checkpoint()
        best = self._checkpoints / _BEST
        known = {str(step): path for step, path in self.checkpoints()}
        if best.exists():
            known["best"] = best
        if which not in known:
            kept = ", ".join(["latest", *known] if known else ["none"])
            raise ModelError(f"the run {self.path} has no checkpoint '{which}', expected one of: {kept}")
        return known[which]

    def save_checkpoint(self, model: Any, step: int) -> Path:
        """Write the weights and optimizers of a Keras model under the step's name; keep the last few.

        The file appears complete or not at all.

        Raises:
            GannetError: the disk does not take it.
        """
        target = self._checkpoints / _CHECKPOINT.format(step)
        save_weights(model, target)
        delete([path for _, path in self.checkpoints()[:-KEPT_CHECKPOINTS]])
        return target

    def save_best(self, model: Any) -> Path:
        """Write a Keras model as the best of the run, in the place of the one before.

        Raises:
            GannetError: the disk does not take it.
        """
        target = self._checkpoints / _BEST
        save_weights(model, target)
        return target

    def roll_back(self, model: Any, step: int) -> None:
        """Make a Keras model the run's state at a step, and forget all that came after.

        Raises:
            GannetError: the disk does not take it.
        """
        # First the new, then the old: whenever the process is killed, there is a checkpoint.
        save_weights(model, self._checkpoints / _CHECKPOINT.format(step))
        delete([path for later, path in self.checkpoints() if later > step])
        self.forget_after(step)

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """Read `metrics.jsonl`; a line that an interruption cut short is left out."""
        if not self.metrics.exists():
            return
        for line in self.metrics.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and isinstance(record.get("step"), int):
                    yield record

    def forget_after(self, step: int) -> None:
        """Drop the metrics and sample grids of later steps, which a resumed run makes again."""
        kept = [json.dumps(record) + "\n" for record in self.read_metrics() if record["step"] <= step]
        write_atomically(self.metrics, "".join(kept))
        names = {path: _GRID_NAME.fullmatch(path.name) for path in self.samples.iterdir()}
        delete([path for path, match in names.items() if match and int(match[1]) > step])
