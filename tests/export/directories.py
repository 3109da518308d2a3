"""Models directories: written without a network, and looked at."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gannet_client import contract
from tests.export import publishers
from tests.export.publishers import FILES


def write_card(version: Path, **card: Any) -> None:
    """Make a version good again, whatever its files are."""
    (version / "assets.extra").mkdir(parents=True, exist_ok=True)
    path = version / contract.CARD_FILE
    files = (file for file in version.rglob("*") if file.is_file() and file != path)
    sums = {
        file.relative_to(version).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    path.write_text(json.dumps({"format": 1, "files": sums, **card}))


def write_version(models: Path, name: str, number: int, **card: Any) -> Path:
    """A version that is good as far as its files go; its graph is none."""
    version = models / name / str(number)
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    write_card(version, **card)
    return version


def _link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("elsewhere")))


def _fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mknod(path, stat.S_IFSOCK | 0o600)


NO_FILES: dict[str, Callable[[Path], None]] = {
    "link": _link,
    "fifo": _fifo,
    "device": _device,
    "socket": _socket,
}
"""What may lie where a file lay; all but the link to another file would hang or flood who reads it."""


def numbers(models: Path, name: str = "digits") -> list[int]:
    return sorted(int(entry.name) for entry in (models / name).iterdir() if entry.name.isdecimal())


def names(models: Path, name: str = "digits") -> list[str]:
    """What lies in a model's directory; nothing if there is none."""
    return sorted(os.listdir(models / name)) if (models / name).exists() else []


def is_whole(version: Path) -> bool:
    files = {path for path in version.rglob("*") if path.is_file()}
    return {path.relative_to(version).as_posix(): path.read_bytes() for path in files} == FILES


def outcomes(*arguments: object) -> list[dict[str, object]]:
    """What the processes of `publishers` came to."""
    program = [sys.executable, publishers.__file__, *map(str, arguments)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stderr == ""
    return [json.loads(line) for line in ended.stdout.splitlines()]
