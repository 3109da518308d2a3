"""Back to a checkpoint."""

import logging
from collections.abc import Iterable
from pathlib import Path

import keras

from gannet_client.errors import ModelError
from gannet_training.adversarial import AdversarialModel
from gannet_training.run import Run

LATEST, BEST = "latest", "best"

log = logging.getLogger(__name__)


def restore(model: AdversarialModel, run: Run, checkpoint: str = LATEST) -> None:
    """Restore a checkpoint of a run.

    Args:
        model: of the run's configuration.
        run: with checkpoints.
        checkpoint: "latest" takes the newest that is whole; "best" and a step are taken as they are.

    Raises:
        ModelError: there is no such checkpoint, or none that can be restored.
    """
    if checkpoint == LATEST:
        _restore_first(model, run, [file for _, file in reversed(run.checkpoints())])
    else:
        _restore_first(model, run, [run.checkpoint(checkpoint)])


def state(model: AdversarialModel) -> list[keras.Variable]:
    """Everything that a checkpoint holds."""
    return [*model.weights, *model.optimizer.variables, *model.discriminator_optimizer.variables]


def restore_healthy(model: AdversarialModel, run: Run, healthy_step: int) -> None:
    """Restore the newest state up to a step: of the last checkpoints, else the best, else the oldest of all.

    Raises:
        ModelError: none can be restored.
    """
    before = [file for step, file in run.checkpoints() if step <= healthy_step]
    after = [file for step, file in run.checkpoints() if step > healthy_step]
    best = model.standing.best
    kept = [run.checkpoint(BEST)] if best and best[0] <= healthy_step else []
    _restore_first(model, run, [*reversed(before), *kept, *after])


def _restore_first(model: AdversarialModel, run: Run, files: Iterable[Path]) -> None:
    for file in files:
        try:
            model.load_weights(file)
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).splitlines() or [repr(error)])[0]
            log.warning("cannot restore %s (%s); going back to the checkpoint before", file, reason)
        else:
            _require_named_step(model, file)
            return
    raise ModelError(f"no checkpoint of the run {run.path} can be restored; use --fresh to start anew")


def _require_named_step(model: AdversarialModel, file: Path) -> None:
    if file.name.startswith("step-") and int(file.name.split(".")[0].removeprefix("step-")) != model.step:
        raise ModelError(f"{file} holds step {model.step}; it was renamed, give it its name back")
