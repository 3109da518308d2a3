"""One thing that is wrong."""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


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


def readable(place: Path, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, and one more if they end because something cannot be read."""
    try:
        yield from findings
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        yield Finding("error", str(error.filename or place), what, "give the server access, or remove it")


def private(place: Path, paths: Iterable[Path], cure: str) -> Iterator[Finding]:
    """A warning of the first path that not every user can read; links are followed.

    Raises:
        OSError: One is not there, or may not be looked at.
    """
    for path in paths:
        status = path.stat()
        wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else stat.S_IROTH
        if status.st_mode & wanted != wanted:
            what = f"{path.name} is not readable by all, and a server in a container is another user"
            owner = f"{status.st_uid}:{status.st_gid}"
            yield Finding("warning", str(place), what, f"{cure}, or run the server as {owner}")
            return
