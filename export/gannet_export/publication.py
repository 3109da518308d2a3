"""From a staged directory to a version that servers see: complete or absent.

Nothing here knows TensorFlow.
"""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from gannet_client import contract
from gannet_client.errors import GannetError, UsageError

LARGEST_VERSION = 2**63 - 1
"""What servers read as a version: an int64."""


@contextlib.contextmanager
def staging(models: Path, name: str, version: int | None = None) -> Iterator[Path]:
    """Make an empty directory under `<models>/<name>/` that no server reads; it is gone at the end.

    Args:
        models: the models directory; made if missing.
        name: of the model: a single path component that does not begin with a dot.
        version: the number that :func:`publish` will be asked for, if one is known already.

    Yields:
        The directory, to be filled and handed to :func:`publish`.

    Raises:
        UsageError: the name or the number is not usable, or the directory cannot be written.
    """
    if version is not None:
        _require_free(models / name, version)
    if not name or name.startswith(".") or "/" in name or not name.isprintable():
        raise UsageError(f"expected a model name without '/' that does not begin with '.', received {name!r}")
    directory = models / name / f"{contract.STAGING_PREFIX}{uuid.uuid4().hex}"
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise UsageError(
            f"cannot write to the models directory {models}: {error.strerror or error}; "
            "choose one that this user may write"
        ) from error
    try:
        yield directory
    except OSError as error:
        raise GannetError(
            f"cannot write {error.filename or directory}: {error.strerror or error}; nothing was published"
        ) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def publish(staged: Path, version: int | None = None) -> Path:
    """Give a staged directory its number by one rename, after all of it is on disk.

    Args:
        staged: from :func:`staging`, filled.
        version: the number to take; by default one more than the highest there is, 1 at first.

    Returns:
        The version directory.

    Raises:
        UsageError: `version` is below 1 or exists already; versions are never overwritten.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as models:
        ...     with staging(Path(models), "digits") as staged:
        ...         _ = (staged / "saved_model.pb").write_bytes(b"...")
        ...         publish(staged).name
        '1'
    """
    parent = staged.parent
    if version is not None:
        _require_free(parent, version)
    _sync(staged)
    while True:
        target = parent / str(_next_version(parent) if version is None else version)
        try:
            os.rename(staged, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if version is not None:
                _require_free(parent, version)
        else:
            _sync_directory(parent)
            return target


def _require_free(parent: Path, version: int) -> None:
    if not 1 <= version <= LARGEST_VERSION:
        raise UsageError(f"expected a version from 1 to {LARGEST_VERSION}, received {version}")
    if (parent / str(version)).exists():
        raise UsageError(
            f"version {version} exists already in {parent}; leave the number out to take the next free one"
        )


def _next_version(parent: Path) -> int:
    numbers = (int(child.name) for child in parent.iterdir() if child.name.isdecimal())
    return max((number for number in numbers if number < LARGEST_VERSION), default=0) + 1


def _sync(directory: Path) -> None:
    for path in [*directory.rglob("*"), directory]:
        if path.is_dir():
            _sync_directory(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
