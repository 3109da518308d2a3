"""What is wrong with a models directory, as far as names, files and rights tell."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gannet_client.contract import CARD_FILE, LABELS_FILE
from gannet_serving.production.cards import read_card
from gannet_serving.production.doctor.finding import Finding, private, readable
from gannet_serving.versions import find_versions

_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
_MAX_LABELS_BYTES = 1 << 20


def in_models(directory: Path) -> Iterator[Finding]:
    """Looks at a models directory; reads every file that a model card lists."""
    yield from readable(directory, _in_directory(directory))


def _in_directory(directory: Path) -> Iterator[Finding]:
    entries = sorted(entry for entry in directory.iterdir() if not _is_of_the_system(entry.name))
    if find_versions(directory):
        yield Finding(
            "error",
            str(directory),
            "holds versions, so it is a model and not a directory of models",
            f"serve {directory.absolute().parent}",
        )
        return
    yield from private(directory, [directory], f"chmod a+rX {directory}")
    models = [entry for entry in entries if entry.is_dir()]
    if not models:
        yield Finding("error", str(directory), "holds no model", f"export one, to {directory}/NAME/1")
    for model in models:
        yield from _in_link(model, directory)
        yield from readable(model, _in_model(model))


def _is_of_the_system(name: str) -> bool:
    return name.startswith(".") or name == "lost+found"


def _in_model(model: Path) -> Iterator[Finding]:
    versions = find_versions(model)
    if not versions:
        loose = any((model / name).exists() for name in _GRAPHS)
        what = "holds a SavedModel itself" if loose else "has no directory that is named by a number"
        yield Finding("error", str(model), f"{what}; a server finds no version", f"make it {model}/1")
    yield from private(model, [model], f"chmod a+rX {model}")
    for number in sorted(versions):
        yield from _in_link(versions[number], model.parent)
        yield from readable(versions[number], _in_version(versions[number]))
    yield from _in_labels(model / LABELS_FILE, versions)


def _in_link(path: Path, directory: Path) -> Iterator[Finding]:
    if path.is_symlink() and not _real(path).is_relative_to(_real(directory)):
        yield Finding(
            "warning",
            str(path),
            f"leads out of {directory}, and a server in a container sees nothing else",
            "put the files themselves there, by gannet export or by copying",
        )


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve fails where links go round in a circle


def _in_version(version: Path) -> Iterator[Finding]:
    if not any((version / name).is_file() for name in os.listdir(version) if name in _GRAPHS):
        yield Finding(
            "error",
            str(version),
            "has no saved_model.pb: it would not load, and be tried again and again",
            "remove it, or publish it again as a whole",
        )
        return
    yield from private(version, (version, *version.rglob("*")), f"chmod -R a+rX {version}")
    yield from _in_card(version)


def _in_card(version: Path) -> Iterator[Finding]:
    try:
        card = read_card(version)
    except ValueError as error:
        cure = "publish the version again as a whole"
        yield Finding("error", str(version), f"{CARD_FILE} is no model card: {error!s:.200}", cure)
        return
    if card is None:
        yield Finding(
            "warning",
            str(version),
            "has no model card: Gannet did not export it, clients know its signatures alone",
            "ask it by Client.predict, or import it with gannet export --saved-model",
        )
        return
    changed = _changed(version, card.get("files"))
    if changed:
        models, model = version.parent.parent, version.parent.name
        others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        yield Finding(
            "error",
            str(version),
            f"{changed[0]}{others} is not as it was exported",
            f"see gannet models verify {models} {model}/{version.name}, then publish it again as a whole",
        )


def _changed(version: Path, sums: Any) -> list[str]:
    """Which of the files that a card lists are missing or other ones."""
    if not isinstance(sums, dict):
        return []
    there = {file.relative_to(version).as_posix(): file for file in version.rglob("*") if file.is_file()}
    return [name for name in sorted(sums) if name not in there or _sha256(there[name]) != sums[name]]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _in_labels(file: Path, versions: dict[int, Path]) -> Iterator[Finding]:
    if not file.exists():
        return
    try:
        with file.open("rb") as opened:
            labels = json.loads(opened.read(_MAX_LABELS_BYTES))
        lost = {label: number for label, number in labels.items() if number not in versions}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        yield Finding("error", str(file), f"cannot be read: {error!r:.200}", "write it again")
        return
    for label, number in lost.items():
        yield Finding(
            "error",
            str(file),
            f"label {label} names version {number}, which is not there",
            "publish that version again, or move the label",
        )
