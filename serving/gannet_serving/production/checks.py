"""What the models themselves tell of settings: what they need, and what would never start."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gannet_client.errors import UsageError
from gannet_serving.production.cards import read_card
from gannet_serving.production.image import is_older
from gannet_serving.production.settings import Model, ServingSettings
from gannet_serving.versions import find_versions


def check_models(settings: ServingSettings, image: str, folder: Path) -> Iterator[str]:
    """Looks at the versions that a server would load.

    Args:
        settings: What it is to do.
        image: Whose server it is.
        folder: To which the models directory is relative.

    Yields:
        Warnings, one line each.

    Raises:
        UsageError: The server would wait for a version for ever, or fail to load one.
    """
    yield from _check_polling(settings)
    models = folder / settings.models_dir
    if not os.path.isdir(models):
        yield f"{models} is no directory here: versions, labels and warm-up are not checked"
        return
    for name, model in settings.models.items():
        if "://" in model.path:
            yield (
                f"models.{name}: {model.path} is not looked at from here; if it is not there, no port opens, "
                "and a server that runs finds no new version of any model"
            )
        else:
            yield from _check(settings, image, name, model, models / (model.path or name))


def _check_polling(settings: ServingSettings) -> Iterator[str]:
    if settings.server.config_poll_seconds and any(model.labels for model in settings.models.values()):
        yield (
            "server.config_poll_seconds: a label moves only to a version that serves already, or nothing of "
            "the file is applied: add the version, wait, move the label, then drop the old version, a "
            "rendering each"
        )


def _check(settings: ServingSettings, image: str, name: str, model: Model, base_path: Path) -> Iterator[str]:
    try:
        found = find_versions(base_path)
    except OSError as error:
        raise UsageError(
            f"models.{name}: cannot read {base_path}: {error.strerror}; the server would wait for it for ever"
        ) from None
    wanted = model.policy.wanted(found)
    if not wanted:
        there = f"versions {sorted(found)}" if found else "no directory that is named by a number"
        raise UsageError(
            f"models.{name}: none of the versions asked for is in {base_path}, which has {there}; "
            "the server would wait for ever"
        )
    yield from _check_labels(name, model, wanted)
    for number in sorted((model.policy.only or set()) - found.keys()):
        yield f"models.{name}: version {number} is not in {base_path}; it is served once it comes"
    for number in wanted:
        yield from _check_card(settings, image, f"{name} version {number}", _card(found[number]))


def _check_labels(name: str, model: Model, wanted: list[int]) -> Iterator[str]:
    for label, number in model.labels.items():
        if number not in wanted:
            raise UsageError(
                f"models.{name}: label {label} names version {number}; the server would load {wanted}"
            )
        if model.policy.most is not None:
            yield (
                f"models.{name}: label {label} names version {number}, which newer versions push out; list "
                f"the versions: versions = {sorted(wanted)}"
            )


def _check_card(settings: ServingSettings, image: str, version: str, card: dict[str, Any]) -> Iterator[str]:
    warmed, batching = card.get("largest_warmed_batch"), settings.batching
    if batching and settings.server.warm_up and isinstance(warmed, int) and warmed > batching.max_batch_size:
        raise UsageError(
            f"batching.max_batch_size: {version} is warmed with up to {warmed} rows, and would not load with "
            f"{batching.max_batch_size}; set it to {warmed} or more, or export with --max-batch "
            f"{batching.max_batch_size}"
        )
    libraries = card.get("libraries")
    exporting = str(libraries.get("tensorflow", "")) if isinstance(libraries, dict) else ""
    if is_older(image, exporting):
        yield (
            f"{version} was exported by TensorFlow {exporting}, and {image} is older: an operation that "
            "is new, or has new attributes, would fail to load; if one does, take a newer image, or export "
            "with an older TensorFlow"
        )


def _card(version: Path) -> dict[str, Any]:
    """The model card; empty for a model of other origin, or where it cannot be read."""
    try:
        return read_card(version) or {}
    except (OSError, ValueError):
        return {}
