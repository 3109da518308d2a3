"""Where the files of the known sets are."""

import os
from collections.abc import Iterable
from pathlib import Path

from gannet_training.data.download import Published, download

ENVIRONMENT = "GANNET_DATA"


def find(
    data_set: str, names: Iterable[str], root: Path | None, *, shared_names: bool = False
) -> Path | None:
    """Look for a file or folder of a known set: in `root`, in `$GANNET_DATA`, in Gannet's cache.

    In each of them, it may stand in a folder of the set's name, or directly.

    Args:
        data_set: name of the set, as users write it.
        names: that the file may have, the likeliest first.
        root: a folder to look into before all others.
        shared_names: other sets call their files the same, so that only the set's own folder will do.

    Returns:
        The first that is there.
    """
    for folder in _folders(root):
        for place in (folder / data_set,) if shared_names else (folder / data_set, folder):
            for name in names:
                if (place / name).exists():
                    return place / name
    return None


def fetch(data_set: str, published: Published, root: Path | None) -> Path:
    """Download a file of a known set into the first of the folders in which :func:`find` looks.

    Raises:
        DataError: it cannot be downloaded; the message says where to put it.
    """
    return download(published, _folders(root)[0] / data_set)


def _folders(root: Path | None) -> list[Path]:
    given = os.environ.get(ENVIRONMENT)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "gannet" / "data"
    folders = [root, Path(given) if given else cache]
    return [folder.expanduser() for folder in folders if folder is not None]
