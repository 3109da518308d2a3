"""From a run to a version."""

from pathlib import Path
from typing import Any

from gannet_export import export
from gannet_training.restoring import LATEST
from gannet_training.run import Run
from gannet_training.trainer import load


def export_run(
    run: Run,
    models: Path,
    name: str,
    *,
    version: int | None = None,
    checkpoint: str = LATEST,
    **options: Any,
) -> Path:
    """Export the moving average of a run's generator, with the run's configuration in the model card.

    Args:
        run: with a checkpoint.
        models: the models directory.
        name: of the model.
        version: the number to take; by default the next free one.
        checkpoint: "latest", "best" or a step.
        options: see :class:`gannet_export.exporting.Options`.

    Returns:
        The version directory.

    Raises:
        ModelError: the run has no such checkpoint.
        ExportRefused: the export did not pass the gate; nothing was published.
        UsageError: the name, the version, the directory or an option cannot be used.
    """
    config, model = run.config(), load(run, checkpoint)
    training = {**config.model_dump(), "steps": model.step}
    return export(
        model.ema_generator,
        models,
        name,
        latent_dim=model.latent_dim,
        family=config.model,
        training=training,
        classes=config.class_names,
        version=version,
        **options,
    )
