"""From a staged directory to a version that servers see: complete or absent.

Nothing here knows TensorFlow.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from gannet_client.errors import GannetError, UsageError
from gannet_export.durability import directory_for, sync_directory, sync_tree
from gannet_export.leavings import sweep, workplace
from gannet_export.repository import LARGEST_VERSION, require_name, version_number

_STAGED = "version"


@contextlib.contextmanager
def staging(models: Path, name: str, version: int | None = None) -> Iterator[Path]:
    """Make an empty directory below `<models>/<name>/` that no server reads; it is gone at the end.

    What exports that were killed left there is swept first.

    Args:
        models: the models directory; made if missing.
        name: of the model: a single path component that does not begin with a dot.
        version: the number that :func:`publish` will be asked for, if one is known already.

    Yields:
        The directory, to be filled and handed to :func:`publish`.

    Raises:
        UsageError: the name or the number is not usable, or the directory cannot be written.
        GannetError: the disk does not take what is written; nothing was published.
    """
    require_name(name)
    parent = models / name
    with contextlib.ExitStack() as stack:
        try:
            if version is not None:
                _require_free(parent, version)
            stack.enter_context(directory_for(parent))
            sweep(parent)
            staged = stack.enter_context(workplace(parent)) / _STAGED
            staged.mkdir()
        except OSError as error:
            raise UsageError(
                f"cannot write to the models directory {models}: {error.strerror or error}; "
                "choose one that this user may write and that has room"
            ) from error
        try:
            yield staged
        except OSError as error:
            raise GannetError(
                f"cannot write {error.filename or staged}: {error.strerror or error}; nothing was published"
            ) from error


def publish(staged: Path, version: int | None = None) -> Path:
    """Give a staged directory its number by one rename, after all of it is on disk.

    Args:
        staged: from :func:`staging`, filled.
        version: the number to take; by default one more than the highest there is, 1 at first.

    Returns:
        The version directory.

    Raises:
        UsageError: `version` is below 1 or exists already, if only as an empty directory; versions are never
            overwritten.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as models:
        ...     with staging(Path(models), "digits") as staged:
        ...         _ = (staged / "saved_model.pb").write_bytes(b"...")
        ...         publish(staged).name
        '1'
    """
    parent = staged.parent.parent
    sync_tree(staged)
    while True:
        target = parent / str(_next_version(parent) if version is None else _require_free(parent, version))
        try:
            os.rename(staged, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            _confirm(target)
            return target


def _confirm(target: Path) -> None:
    try:
        sync_directory(target.parent)
    except OSError as error:
        raise GannetError(
            f"published {target}, but the disk does not confirm it: {error.strerror or error}; verify it"
        ) from error


def _require_free(parent: Path, version: int) -> int:
    if not 1 <= version <= LARGEST_VERSION:
        raise UsageError(f"expected a version from 1 to {LARGEST_VERSION}, received {version}")
    if version in _numbers(parent):
        raise UsageError(
            f"version {version} exists already in {parent}; leave the number out to take the next free one"
        )
    return version


def _next_version(parent: Path) -> int:
    highest = max(_numbers(parent), default=0)
    if highest == LARGEST_VERSION:
        raise UsageError(f"no number is left above version {highest} in {parent}; choose one")
    return highest + 1


def _numbers(parent: Path) -> set[int]:
    """The numbers that are taken: renaming onto an empty directory would succeed, and onto `007` as 7."""
    try:
        numbers = {version_number(entry) for entry in os.listdir(parent)}
    except FileNotFoundError:
        return set()
    return {number for number in numbers if number is not None}
