"""Fetching a published file: resumed where it stopped, checked, and complete or absent."""

import fcntl
import hashlib
import http
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import gannet_client
from gannet_training.data.errors import DataError
from gannet_training.data.progress import progress

_CHUNK = 1 << 18
_SILENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Published:
    """A file as its publisher describes it.

    Attributes:
        name: of the file.
        url: http or https.
        size: in bytes; not one byte more is taken from a server.
        digest: "sha256:..." or "md5:...".
    """

    name: str
    url: str
    size: int
    digest: str


def download(published: Published, folder: Path) -> Path:
    """Fetch a file into a folder.

    It is written under a hidden name, which stays when the transfer breaks off, so that the next call goes on
    from there, and gets its own name when its checksum is right. Processes that want the same file wait for
    the first of them.

    Raises:
        DataError: no network, no permission, another content; the message says where to put the file by hand.
    """
    target = folder / published.name
    partial = folder / f".{published.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if target.exists():
                partial.unlink(missing_ok=True)
                return target
            _complete(published, file)
            _verify(published, partial)
            os.fsync(file.fileno())
            partial.rename(target)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"cannot download {published.url}: {error}; put the file {published.name} into {folder} by hand"
        ) from error
    return target


def _complete(published: Published, file: IO[bytes]) -> None:
    """Transfer what is missing, as long as every attempt brings something."""
    if file.seek(0, os.SEEK_END) > published.size:
        file.truncate(0)
    with progress(published.name, published.size, in_bytes=True) as done:
        while (before := file.seek(0, os.SEEK_END)) < published.size:
            try:
                _transfer(published, file, done)
            except (http.client.HTTPException, ConnectionError, TimeoutError):
                if file.tell() <= before:
                    raise
            if file.tell() <= before:
                raise OSError(f"the server sent nothing after byte {before} of {published.size}")
    file.flush()


def _transfer(published: Published, file: IO[bytes], done: Callable[[int], None]) -> None:
    start = file.tell()
    headers = {"User-Agent": f"gannet/{gannet_client.__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(published.url, headers=headers)
    with _open(request, file) as response:
        continued = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if start and not (response.status == http.HTTPStatus.PARTIAL_CONTENT and continued):
            file.truncate(0)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done(file.tell())
            if file.tell() > published.size:
                file.truncate(0)
                raise OSError(f"expected {published.size} bytes, received more")


def _open(request: urllib.request.Request, file: IO[bytes]) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                file.truncate(0)  # of another file, so that the next call starts anew
            raise OSError(str(error)) from None
    return response


def _verify(published: Published, file: Path) -> None:
    algorithm, _, expected = published.digest.partition(":")
    with file.open("rb") as content:
        received = hashlib.file_digest(content, algorithm).hexdigest()
    if received != expected:
        file.unlink()
        raise OSError(f"expected the {algorithm} {expected}, received {received}")
