"""What is wrong with a `serving.toml`, and with what was rendered from it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from gannet_client.errors import UsageError
from gannet_serving.production.arguments import SSL_CONFIG
from gannet_serving.production.checks import check_models
from gannet_serving.production.doctor.finding import Finding, private, readable
from gannet_serving.production.rendering import ARGUMENTS, FILES, render
from gannet_serving.production.settings import ServingSettings, read_settings

_RENDERED = "config"
"""Where `docker/compose.yaml` looks for the rendered files, beside the settings."""


def in_settings(file: Path, image: str | None) -> Iterator[Finding]:
    """Looks at a `serving.toml`, the models that it names and the files beside it that were rendered.

    Args:
        file: The settings.
        image: Whose server it is, in place of that in the file.
    """
    place = str(file)
    try:
        settings = read_settings(file)
        render(settings, image or settings.image, file.parent)
        for warning in check_models(settings, image or settings.image, file.parent):
            yield Finding("warning", place, warning, "see docs/reference/serving-toml.md")
        yield from _beside_compose(place, settings)
    except UsageError as error:
        what = str(error).removeprefix(f"{place}: ")
        yield Finding("error", place, what, "change the file, then render it again")
    if os.path.isdir(file.parent / _RENDERED):
        yield from in_rendered(file.parent / _RENDERED)


def in_rendered(directory: Path) -> Iterator[Finding]:
    """Looks at a directory of rendered files; at none where there is nothing that was rendered."""
    yield from readable(directory, _in_rendered(directory))


def _in_rendered(directory: Path) -> Iterator[Finding]:
    there = set(os.listdir(directory))
    if ARGUMENTS in there:
        public = (directory / name for name in FILES if name in there and name != SSL_CONFIG)
        yield from private(directory, [directory, *public], f"chmod a+rX {directory} and render again")


def _beside_compose(place: str, settings: ServingSettings) -> Iterator[Finding]:
    usual, ours = (_assumed(each) for each in (ServingSettings(models=settings.models), settings))
    others = [name for name in usual if ours[name] != usual[name]]
    if others:
        what = ", ".join(f"{name} is {json.dumps(ours[name])}" for name in others)
        expected = ", ".join(json.dumps(usual[name]) for name in others)
        yield Finding(
            "warning",
            place,
            f"{what}; the files of docker/ expect {expected}",
            "keep these, or change docker/compose.yaml and docker/prometheus.yml as well",
        )


def _assumed(settings: ServingSettings) -> dict[str, object]:
    """The settings that stand in the files of `docker/` as well."""
    server, monitoring = settings.server, settings.monitoring
    return {
        "server.port": server.port,
        "server.rest_port": server.rest_port or False,
        "mounted_at": settings.mounted_at.rstrip("/"),
        "config_dir": settings.config_dir.rstrip("/"),
        "monitoring.path": monitoring.path,
    }
