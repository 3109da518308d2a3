"""Processes that publish, and meet their end or a full disk on the way: run by test_killed_exports.py.

It forks, which is cheap and needs a process without threads and TensorFlow. Prints one JSON line for each
process: its exit status, and what it said.
"""

import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gannet_client.errors import GannetError
from gannet_export.leavings import discard
from gannet_export.publication import publish, staging

CALLS = ("fcntl.flock", "open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir")
FILES = {
    "saved_model.pb": b"graph" * 9999,
    "variables/variables.index": b"",
    "assets.extra/gannet.json": b"{}",
}

Arguments = tuple[Any, ...]


def export(models: Path) -> Path:
    """What an export does to the disk."""
    with staging(models, "digits") as staged:
        for name, content in FILES.items():
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_bytes(content)
        return publish(staged)


def die(event: str, arguments: Arguments) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(event: str, arguments: Arguments) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO), str(arguments[0]))


def be_full(event: str, arguments: Arguments) -> None:
    """What is on a full disk can be opened, renamed and removed."""
    creates = event == "open" and arguments[2] & os.O_CREAT and not os.path.exists(arguments[0])
    if event == "os.mkdir" or creates:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))


class Disk:
    """Something happens at one call of the file system, counted from 1, or at all from there on."""

    def __init__(self, happen: Callable[[str, Arguments], None], call: int, *, lasts: bool = False) -> None:
        self._happen = happen
        self._call = call
        self._lasts = lasts
        self._calls = 0
        self.failed = False

    def mount(self) -> None:
        """From now on, for as long as this process lives."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: Arguments) -> None:
        if event in CALLS:
            self._calls += 1
            if self._calls == self._call or (self._lasts and self._calls > self._call):
                self.failed = True
                self._happen(event, arguments)


HALF_WAY = 20
"""The call at which a killed export has written files and has no number yet."""

DISKS = {"dies": (die, False), "fails": (fail, False), "full": (be_full, True)}


def forked(work: Callable[[], object]) -> tuple[int, int]:
    """The process that does the work, and where to read what it says."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    code = 99
    try:
        said = str(work())
        code = 0
    except GannetError as error:
        said, code = str(error), error.exit_code
    except BaseException as error:
        said = repr(error)
    os.write(writing, said.encode())
    os._exit(code)


def ended(process: int, reading: int) -> dict[str, Any]:
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    return {"status": os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), "said": said}


def tell(outcome: dict[str, Any]) -> None:
    print(json.dumps(outcome))


def on_one_disk(disk: Disk, work: Callable[[Path], object], models: Path) -> object:
    disk.mount()
    result = work(models)
    return result if disk.failed else "held"


def use(models: Path) -> None:
    """Let there be a version, and what a killed export left."""
    export(models)
    ended(*forked(partial(on_one_disk, Disk(die, HALF_WAY), export, models)))


def discard_first(models: Path) -> None:
    discard(models / "digits" / "1")


WORKS: dict[str, tuple[Callable[[Path], object], bool]] = {
    "first": (export, False),
    "next": (export, True),
    "discard": (discard_first, True),
}


def on_disk(kind: str, work: str, base: str) -> None:
    """One process after the other, each on a disk that holds for one call more, until it holds to the end."""
    happen, lasts = DISKS[kind]
    do, used = WORKS[work]
    for call in range(1, 500):
        models = Path(base, str(call))
        if used:
            use(models)

        outcome = ended(*forked(partial(on_one_disk, Disk(happen, call, lasts=lasts), do, models)))
        tell(outcome)
        if outcome["said"] == "held":
            return


def race(base: str, count: str) -> None:
    """All at once, as nearly as processes come to that."""
    waiting, start = os.pipe()

    def work() -> Path:
        os.close(start)
        os.read(waiting, 1)
        return export(Path(base))

    processes = [forked(work) for _ in range(int(count))]
    os.close(start)
    for process in processes:
        tell(ended(*process))


def limited(base: str, size: str) -> None:
    """No file may be larger than `size` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    tell(ended(*forked(lambda: export(Path(base)))))


def do_not_wait(file: int) -> None:
    """In place of `os.fsync`: a kill leaves what was written, and nobody pulls the plug in a test."""


if __name__ == "__main__":
    os.fsync = do_not_wait
    {"on_disk": on_disk, "race": race, "limited": limited}[sys.argv[1]](*sys.argv[2:])
