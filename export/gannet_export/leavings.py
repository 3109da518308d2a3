"""Directories that no server reads, and what remains of them where a process was killed.

Whoever works in `<models>/<name>/.staging-<id>/` holds a lock on the file `lock` in it. The kernel lets go of
the lock when the process dies, however it dies, so that a sweep sees from every process, container and, over
NFS, host whether anybody is still there; a process number would mean nothing in another container.

NFS carries locks on files between hosts (on directories it does not), unless it is mounted with `nolock` or
`local_lock`. Where a file system refuses locks, a directory is swept when it is a day old. Where one only
pretends, a sweep from another host fails an export that is under way: it renames before it removes, so that
never a part is published.
"""

import contextlib
import enum
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gannet_client import contract
from gannet_export.durability import sync_directory
from gannet_export.regular import regular

_LOCK = "lock"
_DAY = 24 * 60 * 60.0


class _Holder(enum.Enum):
    THIS_PROCESS = enum.auto()
    ANOTHER = enum.auto()
    NOBODY_KNOWS = enum.auto()


@contextlib.contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    """Make a directory in `parent` that no server reads and no sweep takes; it is gone at the end.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        directory = parent / _unread_name()
        directory.mkdir(parents=True)
        try:
            with _claimed(directory) as claimed:
                if claimed:
                    yield directory
                    return
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def sweep(parent: Path, *, dry_run: bool = False) -> list[Path]:
    """Remove what dead processes left in a model's directory; what is not ours to remove stays.

    Args:
        parent: `<models>/<name>`.
        dry_run: only look.

    Returns:
        The directories that are gone, or, with `dry_run`, would go.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     (Path(parent) / ".staging-1").mkdir()
        ...     with workplace(Path(parent)):
        ...         [path.name for path in sweep(Path(parent))]
        ['.staging-1']
    """
    swept = []
    for directory in sorted(parent.glob(f"{contract.STAGING_PREFIX}*")):
        # Another user's, on a disk that cannot be written, or another sweep was faster.
        with contextlib.suppress(OSError):
            if not directory.is_symlink() and (aside := _taken(directory, dry_run)):
                swept.append(directory)
                if not dry_run:
                    _remove(aside)
    return swept


def discard(path: Path) -> None:
    """Remove a version: servers see it whole until they see it no more.

    Raises:
        OSError: it cannot be removed; it is whole.
    """
    _remove(_put_aside(path))


def _taken(directory: Path, dry_run: bool) -> Path | None:
    """Put an abandoned directory aside; its lock is closed by then, since NFS removes no open files."""
    with open(directory / _LOCK, "a", opener=regular) as lock:
        if not _is_abandoned(lock):
            return None
        return directory if dry_run else _put_aside(directory)


def _put_aside(path: Path) -> Path:
    aside = path.with_name(_unread_name())
    path.rename(aside)
    sync_directory(path.parent)
    return aside


def _remove(aside: Path) -> None:
    if aside.is_symlink():
        aside.unlink()
    else:
        shutil.rmtree(aside, ignore_errors=True)


def _unread_name() -> str:
    return f"{contract.STAGING_PREFIX}{uuid.uuid4().hex}"


@contextlib.contextmanager
def _claimed(directory: Path) -> Iterator[bool]:
    """Hold the lock of a new directory; in vain if a sweep was faster."""
    path = directory / _LOCK
    try:
        lock = open(path, "a", opener=regular)  # noqa: SIM115, closed below
    except FileNotFoundError:
        yield False
        return
    with lock:
        yield _lock(lock) is not _Holder.ANOTHER and path.exists()


def _lock(file: IO[Any]) -> _Holder:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _Holder.ANOTHER
    except OSError:
        return _Holder.NOBODY_KNOWS
    return _Holder.THIS_PROCESS


def _is_abandoned(lock: IO[Any]) -> bool:
    holder = _lock(lock)
    if holder is _Holder.NOBODY_KNOWS:
        return time.time() - os.fstat(lock.fileno()).st_mtime > _DAY
    return holder is _Holder.THIS_PROCESS
