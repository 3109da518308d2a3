"""What is wrong with what a server is given, and what to do about it."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gannet_client import Client
from gannet_client.contract import CARD, CARD_FILE, LABELS_FILE
from gannet_client.errors import GannetError, UsageError
from gannet_client.schema import AVAILABLE
from gannet_serving.production.checks import check_models
from gannet_serving.production.rendering import render
from gannet_serving.production.settings import read_settings
from gannet_serving.versions import find_versions

_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
_MAX_LABELS_BYTES = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: "error" if something is not served for it, "warning" if it may come to that.
        place: Where: a path, or a model of a server.
        what: What is wrong.
        cure: What to do.
    """

    level: Literal["error", "warning"]
    place: str
    what: str
    cure: str


def in_settings(file: Path, image: str | None) -> Iterator[Finding]:
    """Looks at a `serving.toml` and at the models that it names; an image goes before its own."""
    place = str(file)
    try:
        settings = read_settings(file)
        render(settings, image or settings.image, file.parent)
        for warning in check_models(settings, image or settings.image, file.parent):
            yield Finding("warning", place, warning, "see docs/reference/serving-toml.md")
    except UsageError as error:
        what = str(error).removeprefix(f"{place}: ")
        yield Finding("error", place, what, "change the file, then render it again")


def in_models(directory: Path) -> Iterator[Finding]:
    """Looks at a models directory, as far as names, files and rights tell."""
    try:
        entries = sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        yield Finding("error", str(directory), f"cannot be read: {error.strerror}", "pass a models directory")
        return
    if _versions(directory):
        yield Finding(
            "error",
            str(directory),
            "holds versions, so it is a model and not a directory of models",
            f"serve {directory.absolute().parent}",
        )
        return
    models = [entry for entry in entries if entry.is_dir()]
    if not models:
        yield Finding("error", str(directory), "holds no model", f"export one, to {directory}/NAME/1")
    for model in models:
        yield from _in_model(model)


def in_server(target: str, model: str) -> Iterator[Finding]:
    """Asks a running server for the versions of a model, and for what it can be asked."""
    place = f"{model} at {target}"
    with Client(target, model=model) as client:
        try:
            states = client.status()
            for state in states:
                if state.code != "OK":
                    cure = "read the server's log; a version that failed must come under a new number"
                    yield Finding("error", place, f"{state}", cure)
            if not any(state.state == AVAILABLE for state in states):
                seen = ", ".join(map(str, states)) or "none"
                yield Finding("error", place, f"no version serves: {seen}", "wait, or read the server's log")
            elif CARD not in client.metadata():
                what = "the highest version lacks the signatures of Gannet"
                yield Finding("warning", place, what, "ask it by Client.predict")
        except GannetError as error:
            cure = "check the address, the name and the configuration of the server"
            yield Finding("error", place, str(error), cure)


def _in_model(model: Path) -> Iterator[Finding]:
    try:
        versions = find_versions(model)
    except OSError as error:
        yield Finding("error", str(model), f"cannot be read: {error.strerror}", "give the server access")
        return
    if not versions:
        loose = any((model / name).exists() for name in _GRAPHS)
        what = "holds a SavedModel itself" if loose else "has no directory that is named by a number"
        yield Finding("error", str(model), f"{what}; a server finds no version", f"make it {model}/1")
    for number in sorted(versions):
        yield from _in_version(versions[number])
    yield from _in_labels(model / LABELS_FILE, versions)


def _in_version(version: Path) -> Iterator[Finding]:
    place = str(version)
    if not any((version / name).is_file() for name in _GRAPHS):
        yield Finding(
            "error",
            place,
            "has no saved_model.pb: it would not load, and be tried again and again",
            "remove it, or publish it again as a whole",
        )
        return
    if not (version / CARD_FILE).is_file():
        yield Finding(
            "warning",
            place,
            "has no model card: Gannet did not export it, clients know its signatures alone",
            "ask it by Client.predict, or import it with gannet export --saved-model",
        )
    hidden = [path for path in (version, *version.rglob("*")) if not _is_readable_by_all(path)]
    if hidden:
        yield Finding(
            "warning",
            place,
            f"{hidden[0].name} is not readable by all, and a server in a container is another user",
            f"chmod -R a+rX {version}, or run the server as {_owner(hidden[0])}",
        )


def _in_labels(file: Path, versions: dict[int, Path]) -> Iterator[Finding]:
    if not file.exists():
        return
    try:
        with file.open("rb") as opened:
            labels = json.loads(opened.read(_MAX_LABELS_BYTES))
        lost = {label: number for label, number in labels.items() if number not in versions}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        yield Finding("error", str(file), f"cannot be read: {error!r:.200}", "write it again")
        return
    for label, number in lost.items():
        yield Finding(
            "error",
            str(file),
            f"label {label} names version {number}, which is not there",
            "publish that version again, or move the label",
        )


def _versions(directory: Path) -> dict[int, Path]:
    try:
        return find_versions(directory)
    except OSError:
        return {}


def _is_readable_by_all(path: Path) -> bool:
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & wanted == wanted


def _owner(path: Path) -> str:
    status: os.stat_result = path.stat()
    return f"{status.st_uid}:{status.st_gid}"
