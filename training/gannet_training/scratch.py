"""What a worker that is not the chief has for a run directory."""

from pathlib import Path
from typing import Any

from gannet_training.run import Run


class ScratchRun(Run):
    """A directory for the time of the training that takes logs and pictures, but no checkpoints.

    Every worker does the same, because much of it needs all of them at once; what this one writes is the same
    as what the chief writes, and is thrown away.
    """

    def save_checkpoint(self, model: Any, step: int) -> Path:
        """Leave it to the chief."""
        return self.path

    def save_best(self, model: Any) -> Path:
        """Leave it to the chief."""
        return self.path

    def roll_back(self, model: Any, step: int) -> None:
        """Leave the checkpoints to the chief."""
        self.forget_after(step)
