"""Rendered files on the disk, where a server in a container reads them."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gannet_client.errors import UsageError
from gannet_serving.production.arguments import SSL_CONFIG
from gannet_serving.production.rendering import FILES, NOBODY


def server_user() -> str:
    """Who is to run a server in a container, as UID:GID: the caller, who can read all that is written here.

    Never root.
    """
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{NOBODY}:{NOBODY}"


def write(files: Mapping[str, str], directory: Path) -> None:
    """Writes rendered files, and then removes those of before that are not among them.

    All are written before the first appears, so that where the disk is full all stand as they were. Whatever
    the umask, every user can read them, the server's among them; the file with the private key is readable by
    `server_user` alone. A directory that is there stays as private as it is.

    Raises:
        UsageError: The directory cannot be written.
    """
    try:
        if not directory.is_dir():
            directory.mkdir(parents=True)
            directory.chmod(0o755)
        with tempfile.TemporaryDirectory(prefix=".rendering-", dir=directory) as staging:
            staged = [_write(Path(staging) / name, text) for name, text in files.items()]
            for path in staged:
                path.replace(directory / path.name)
        for name in FILES:
            if name not in files:
                (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write the configuration into {directory}: {error.strerror}") from None


def _write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    if path.name != SSL_CONFIG:
        path.chmod(0o644)
        return path
    path.chmod(0o600)
    if os.getuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path
