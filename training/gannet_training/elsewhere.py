"""What a worker that is not the chief has for a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gannet_training.run import Run


class RunElsewhere(Run):
    """A run that the chief writes: here nothing is, and nothing is left.

    Every worker makes the same calls, because saving a checkpoint reads measures, for which all are needed.
    """

    def checkpoints(self) -> list[tuple[int, Path]]:
        """None: the chief restores them, and sends what they hold."""
        return []

    def save_checkpoint(self, model: Any, step: int) -> Path:
        """Leave it to the chief."""
        return self.path

    def save_best(self, model: Any) -> Path:
        """Leave it to the chief."""
        return self.path

    def roll_back(self, model: Any, step: int) -> None:
        """Leave it to the chief."""

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """None: the chief sends them."""
        return iter(())

    def forget_after(self, step: int) -> None:
        """Leave it to the chief."""
