"""Old versions go, and what killed exports left; what is needed stays."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gannet_client.client import Client
from gannet_client.errors import GannetError, ModelError
from gannet_export.leavings import discard, sweep
from gannet_export.listing import size
from gannet_export.repository import Version, read_labels, versions
from gannet_export.verification import wrong_files

_ENDED = "END"


@dataclass(frozen=True)
class Collected:
    """What :func:`collect` did.

    Attributes:
        removed: the versions that are gone, and the bytes of each.
        swept: the staging directories of dead processes that are gone.
        stopped: why a model was left alone.
    """

    removed: dict[Version, int] = field(default_factory=dict)
    swept: list[Path] = field(default_factory=list)
    stopped: list[GannetError] = field(default_factory=list)

    def as_json(self, models: Path) -> dict[str, Any]:
        """The same in JSON values."""
        return {
            "removed": [
                {"name": version.name, "version": version.number, "bytes": freed}
                for version, freed in self.removed.items()
            ],
            "swept": [path.relative_to(models).as_posix() for path in self.swept],
            "stopped": [str(error) for error in self.stopped],
        }


def collect(
    models: Path,
    names: Sequence[str],
    keep: int,
    *,
    server: str | None = None,
    server_name: str | None = None,
    dry_run: bool = False,
) -> Collected:
    """Remove old versions and sweep leavings; a model that cannot be judged keeps all of its versions.

    Args:
        models: the models directory.
        names: of the models.
        keep: see :func:`removable`.
        server: HOST:PORT of a server whose versions stay; all models are asked for before any loses one.
        server_name: what the server calls the one model that is named; by default the same.
        dry_run: only tell what would be done.

    Raises:
        GannetError: the server does not tell; nothing was removed.
    """
    collected, needed = Collected(), dict[str, set[int]]()
    for name in names:
        try:
            needed[name] = in_service(server, server_name or name) if server else set()
        except ModelError as error:
            collected.stopped.append(error)
    for name in names:
        collected.swept.extend(sweep(models / name, dry_run=dry_run))
    for name, kept in needed.items():
        try:
            for version in removable(models, name, keep, kept):
                freed = size(version.path)
                if not dry_run:
                    _remove(version)
                collected.removed[version] = freed
        except GannetError as error:
            collected.stopped.append(error)
    return collected


def removable(models: Path, name: str, keep: int, needed: Container[int] = ()) -> Iterable[Version]:
    """Choose the versions of a model that may go, lowest number first.

    Those with the highest numbers stay, and the newest good one, the labelled and the needed. A version is
    good if its card can be read and its files are what the card says.

    Args:
        models: the models directory.
        name: of the model.
        keep: how many of the highest numbers stay, at least 1.
        needed: numbers that stay.

    Raises:
        ModelError: `labels.json` cannot be read, or no version is good.
    """
    labelled = read_labels(models, name).values()
    there = versions(models, name)
    if len(there) <= keep:
        return []
    good = next((version for version in reversed(there) if not wrong_files(version.path)), None)
    if good is None:
        raise ModelError(
            f"no version of {name!r} is good, so that none is removed; see `gannet models verify`"
        )
    stay = {good.number, *labelled}
    return [
        version for version in there[:-keep] if version.number not in stay and version.number not in needed
    ]


def in_service(server: str, name: str) -> set[int]:
    """Ask a server which versions of a model it has or is about to have.

    Args:
        server: HOST:PORT.
        name: of the model, on the server.

    Raises:
        ModelError: the server does not know the model; it may be another one, or one that is only starting.
        GannetError: the server does not tell.
    """
    with Client(server, model=name) as client:
        try:
            states = client.status()
        except ModelError as error:
            raise ModelError(
                f"{server} does not know a model {name!r}, so that no version of it is removed; check the "
                "address, pass --server-name if it is served under another name, or leave --server out"
            ) from error
    return {status.version for status in states if status.state != _ENDED}


def _remove(version: Version) -> None:
    try:
        discard(version.path)
    except OSError as error:
        raise GannetError(
            f"cannot remove version {version.number} of {version.name!r}: {error.strerror or error}"
        ) from error
