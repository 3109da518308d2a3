"""The run directory: everything that a training run leaves behind, under one path."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gannet_client.errors import ModelError, UsageError
from gannet_training.config import TrainConfig

KEPT_CHECKPOINTS = 3
_CHECKPOINT = "step-{:08d}.weights.h5"


@dataclass(frozen=True)
class Run:
    """A run directory: `config.json`, `checkpoints/`, `samples/`, `logs/`, `metrics.jsonl`."""

    path: Path

    @property
    def samples(self) -> Path:
        """Sample grids, one PNG per epoch."""
        return self.path / "samples"

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
            if fresh and path.exists():
                shutil.rmtree(path)
            run._checkpoints.mkdir(parents=True, exist_ok=True)
            run.samples.mkdir(exist_ok=True)
            _write_atomically(run._config, config.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise UsageError(
                f"cannot write the run directory {path}: {error.strerror}; choose another --out"
            ) from error
        return run

    def check(self, config: TrainConfig, *, fresh: bool = False) -> None:
        """Refuse a directory that a run of this configuration may not use; changes nothing.

        The number of steps may grow: that continues a run. Any other difference is refused.

        Raises:
            UsageError: the directory holds another configuration (each difference is listed), a run of more
                steps, or no run at all.
        """
        if not self._config.exists():
            if self.path.is_file() or (self.path.is_dir() and any(self.path.iterdir())):
                raise UsageError(f"{self.path} exists and is not a run directory; choose another --out")
            return
        if fresh:
            return
        existing = self.config()
        if existing.differences(config.model_copy(update={"steps": existing.steps})):
            differences = "; ".join(existing.differences(config))
            raise UsageError(
                f"{self.path} holds a run of another configuration: {differences}. "
                "Use --fresh to delete it and start anew, or another --out"
            )
        reached = max((step for step, _ in self.checkpoints()), default=0)
        if reached > config.steps:
            raise UsageError(
                f"{self.path} is at step {reached} already, received {config.steps} steps; "
                "use --fresh to start anew"
            )

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
            raise UsageError(f"cannot read {self._config}: {error}; use --fresh to start anew") from error

    def checkpoints(self) -> list[tuple[int, Path]]:
        """List the checkpoints as (step, file), oldest first."""
        found = self._checkpoints.glob("step-*.weights.h5")
        return sorted((int(file.name.split(".")[0].removeprefix("step-")), file) for file in found)

    def latest_checkpoint(self) -> Path:
        """Find the checkpoint of the highest step.

        Raises:
            ModelError: there is none yet.
        """
        checkpoints = self.checkpoints()
        if not checkpoints:
            raise ModelError(
                f"the run {self.path} has no checkpoint yet; train it first: "
                "a checkpoint is written every few epochs and at the end"
            )
        return checkpoints[-1][1]

    def save_checkpoint(self, model: Any, step: int) -> Path:
        """Write the weights and optimizers of a Keras model under the step's name; keep the last few.

        The file appears complete or not at all.
        """
        target = self._checkpoints / _CHECKPOINT.format(step)
        partial = self._checkpoints / f".{uuid.uuid4().hex}.weights.h5"
        try:
            model.save_weights(partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
        for _, old in self.checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink()
        return target

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """Read `metrics.jsonl`; a last line that an interruption cut short is left out."""
        if not self.metrics.exists():
            return
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def forget_after(self, step: int) -> None:
        """Drop the metrics of later steps, which a resumed run makes again."""
        kept = [json.dumps(record) + "\n" for record in self.read_metrics() if record["step"] <= step]
        _write_atomically(self.metrics, "".join(kept))


def _write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    partial.write_text(text, encoding="utf-8")
    partial.rename(path)
