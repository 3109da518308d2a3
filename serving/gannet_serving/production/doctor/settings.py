"""What is wrong with a `serving.toml`, and with what was rendered from it."""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from gannet_client.errors import UsageError
from gannet_serving.production.arguments import SSL_CONFIG
from gannet_serving.production.checks import check_models
from gannet_serving.production.doctor.finding import Finding, private, readable
from gannet_serving.production.rendering import ARGUMENTS, ENVIRONMENT, FILES, NOBODY, render
from gannet_serving.production.settings import ServingSettings, read_settings

_RENDERED = "config"
"""Where `docker/compose.yaml` looks for the rendered files, beside the settings."""


def in_settings(file: Path, image: str | None) -> Iterator[Finding]:
    """Looks at a `serving.toml`, the models that it names and the files beside it that were rendered.

    Args:
        file: The settings.
        image: Whose server it is, in place of that in the file.
    """
    place, directory = str(file), file.parent / _RENDERED
    try:
        settings = read_settings(file)
        texts = render(settings, image or settings.image, file.parent, _user(directory))
        for warning in check_models(settings, image or settings.image, file.parent):
            yield Finding("warning", place, warning, "see docs/reference/serving-toml.md")
        yield from _beside_compose(place, settings)
        yield from readable(directory, _outdated(texts, file, directory))
    except UsageError as error:
        what = str(error).removeprefix(f"{place}: ")
        yield Finding("error", place, what, "change the file, then render it again")
    if os.path.isdir(directory):
        yield from in_rendered(directory)


def in_rendered(directory: Path) -> Iterator[Finding]:
    """Looks at a directory of rendered files; at none where there is nothing that was rendered."""
    yield from readable(directory, _in_rendered(directory))


def _in_rendered(directory: Path) -> Iterator[Finding]:
    there = set(os.listdir(directory))
    if ARGUMENTS in there:
        public = (directory / name for name in FILES if name in there and name != SSL_CONFIG)
        yield from private(directory, [directory, *public], f"chmod a+rX {directory} and render again")
    if SSL_CONFIG in there:
        yield from _kept_from_server(directory / SSL_CONFIG, _user(directory))


def _kept_from_server(key: Path, user: str) -> Iterator[Finding]:
    status = key.stat()
    if str(status.st_uid) != user.partition(":")[0] and not status.st_mode & stat.S_IROTH:
        owner = f"{status.st_uid}:{status.st_gid}"
        what = f"{key.name} belongs to {owner}, and {ENVIRONMENT} runs the server as {user}"
        yield Finding("error", str(key.parent), what, "render again, which settles both")


def _user(directory: Path) -> str:
    """As whom `docker/compose.yaml` runs the server, as far as the rendered files tell."""
    try:
        lines = (directory / ENVIRONMENT).read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    variables = dict(line.partition("=")[::2] for line in lines)
    return variables.get("GANNET_USER", f"{NOBODY}:{NOBODY}")


def _outdated(texts: Mapping[str, str], file: Path, directory: Path) -> Iterator[Finding]:
    """A warning of rendered files that are not what the settings ask for now."""
    if not (directory / ARGUMENTS).is_file():
        return
    others = ", ".join(name for name in FILES if _differs(directory / name, texts.get(name)))
    if others:
        cure = f"gannet serving render {file} --out {directory}, then restart the server"
        yield Finding("warning", str(directory), f"not what {file} asks for: {others}", cure)


def _differs(path: Path, text: str | None) -> bool:
    try:
        return path.read_bytes() != (text or "").encode()
    except FileNotFoundError:
        return text is not None
    except PermissionError:  # the key of a server that is another user
        return False


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
            "keep these, or change docker/compose.yaml and docker/prometheus.yml as well; for models_dir set "
            "GANNET_MODELS",
        )


def _assumed(settings: ServingSettings) -> dict[str, object]:
    """The settings that stand in the files of `docker/` as well."""
    server, monitoring = settings.server, settings.monitoring
    return {
        "server.port": server.port,
        "server.rest_port": server.rest_port or False,
        "models_dir": os.path.normpath(settings.models_dir),
        "mounted_at": settings.mounted_at.rstrip("/"),
        "config_dir": settings.config_dir.rstrip("/"),
        "monitoring.path": monitoring.path,
    }
