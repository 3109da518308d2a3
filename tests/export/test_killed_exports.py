"""Exports that are killed, or run out of disk, leave the whole version or none; the next one tidies up."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gannet_client.errors import GannetError
from gannet_export.leavings import sweep
from gannet_export.publication import publish, staging
from gannet_export.verification import wrong_files
from tests.export import publishers
from tests.export.directories import NO_FILES, is_whole, names, outcomes

pytestmark = pytest.mark.usefixtures("without_waiting")


@pytest.mark.parametrize("work", ["first", "next"])
def test_a_kill_at_any_call_leaves_the_whole_version_or_none(tmp_path: Path, work: str) -> None:
    *killed, last = outcomes("on_disk", "dies", work, tmp_path)
    assert len(killed) > 30
    assert {end["status"] for end in killed} == {-9}
    assert last == {"status": 0, "said": "held"}
    before = {"1"} if work == "next" else set()
    seen = set()
    for models in tmp_path.iterdir():
        appeared = {name for name in names(models) if not name.startswith(".staging-")} - before
        seen |= appeared
        assert all(is_whole(models / "digits" / name) for name in appeared | before)
        publishers.export(models)
        assert len(names(models)) == len(before | appeared) + 1
        assert all(is_whole(models / "digits" / name) for name in names(models))
    assert seen == ({"2"} if work == "next" else {"1"})


def test_a_kill_while_it_is_removed_leaves_the_whole_version_or_none(tmp_path: Path) -> None:
    *killed, last = outcomes("on_disk", "dies", "discard", tmp_path)
    assert last["said"] == "held"
    assert {end["status"] for end in killed} == {-9}
    left = [models for models in tmp_path.iterdir() if "1" in names(models)]
    assert 0 < len(left) < len(killed)
    assert all(is_whole(models / "digits" / "1") for models in left)
    for models in tmp_path.iterdir():
        sweep(models / "digits")
        assert names(models) == (["1"] if models in left else [])


KILLED_EXPORT = """
import os, signal, sys
from gannet_export.gate import gatekeeper

gatekeeper()  # loads TensorFlow while this process does
import keras
from gannet_export import export

def hook(event, arguments):
    if event == "os.rename" and os.path.basename(arguments[1]).isdecimal():
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
layers = [keras.Input([3]), keras.layers.Dense(16, "tanh"), keras.layers.Reshape([4, 4, 1])]
export(keras.Sequential(layers), sys.argv[1], "tiny", latent_dim=3, plain=True)
"""


def test_an_export_that_is_killed_before_its_rename_is_swept_by_the_next(tmp_path: Path) -> None:
    import keras

    from gannet_export import export

    program = [sys.executable, "-c", KILLED_EXPORT, str(tmp_path)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert all(name.startswith(".staging-") for name in names(tmp_path, "tiny"))
    assert list(tmp_path.rglob("saved_model.pb"))
    layers = [keras.Input([3]), keras.layers.Dense(16, "tanh"), keras.layers.Reshape([4, 4, 1])]
    version = export(keras.Sequential(layers), tmp_path, "tiny", latent_dim=3, plain=True)
    assert names(tmp_path, "tiny") == [version.name] == ["1"]
    assert wrong_files(version) == []


@pytest.mark.parametrize("work", ["first", "next"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, work: str) -> None:
    ends = outcomes("on_disk", "full", work, tmp_path)
    before, after = (["1"], ["1", "2"]) if work == "next" else ([], ["1"])
    for number, end in enumerate(ends, 1):
        models = tmp_path / str(number)
        assert names(models) == (before if end["status"] else after)
        assert models.exists() == bool(names(models))
        assert all(is_whole(models / "digits" / name) for name in names(models))
    refused = [end for end in ends if end["status"]]
    assert len(refused) > 5
    assert {end["status"] for end in refused} == {1, 2}
    assert all("No space left on device; " in str(end["said"]) for end in refused)


@pytest.mark.parametrize("work", ["first", "next"])
def test_a_disk_that_fails_once_is_told_truly(tmp_path: Path, work: str) -> None:
    ends = outcomes("on_disk", "fails", work, tmp_path)
    version = "2" if work == "next" else "1"
    for number, end in enumerate(ends, 1):
        models, said = tmp_path / str(number), str(end["said"])
        there = models / "digits" / version
        assert end["status"] in (0, 1, 2), said
        assert "\n" not in said
        assert there.exists() == (end["status"] == 0 or said.startswith(f"published {there}, but"))
        assert is_whole(there) or not there.exists()
        publishers.export(models)
        assert all(name.isdecimal() for name in names(models))
    assert sum("nothing was published" in str(end["said"]) for end in ends) > 10
    assert sum("the disk does not confirm it" in str(end["said"]) for end in ends) == 1


def test_a_file_that_is_too_large_for_the_disk(tmp_path: Path) -> None:
    (end,) = outcomes("limited", tmp_path / "models", 20_000)
    assert end["status"] == 1
    assert str(end["said"]).endswith("File too large; nothing was published")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_another_file_system_takes_what_it_has_room_for(small_disk: Path) -> None:
    with pytest.raises(GannetError, match="No space left on device"):
        for _ in range(10):
            publishers.export(small_disk)
    assert names(small_disk)[:2] == ["1", "2"]
    assert all(is_whole(small_disk / "digits" / name) for name in names(small_disk))


def test_what_another_process_works_on_is_not_swept(tmp_path: Path) -> None:
    with staging(tmp_path, "digits") as staged:
        (staged / "saved_model.pb").write_text("slow")
        assert outcomes("race", tmp_path, 1)[0]["status"] == 0
        assert publish(staged).name == "2"
    assert (tmp_path / "digits" / "2" / "saved_model.pb").read_text() == "slow"
    assert names(tmp_path) == ["1", "2"]


def test_where_files_cannot_be_locked_a_day_must_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with staging(tmp_path, "digits") as staged:
        assert sweep(tmp_path / "digits") == []
        assert publish(staged).name == "1"
        (leaving,) = (tmp_path / "digits").glob(".staging-*")
        yesterday = time.time() - 25 * 60 * 60
        os.utime(leaving / "lock", (yesterday, yesterday))
        assert sweep(tmp_path / "digits") == [leaving]
    assert names(tmp_path) == ["1"]


def test_what_looks_like_a_leaving_and_is_none_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / ".staging-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "digits" / ".staging-file").write_text("")
    publishers.export(tmp_path)
    assert names(tmp_path) == [".staging-file", ".staging-link", "1"]
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.timeout(20)
@pytest.mark.parametrize("replace", NO_FILES.values(), ids=NO_FILES)
def test_a_lock_that_is_no_file_locks_nothing(tmp_path: Path, replace: Callable[[Path], None]) -> None:
    leaving = tmp_path / "digits" / ".staging-1"
    leaving.mkdir(parents=True)
    (leaving / "lock").write_text("")
    replace(leaving / "lock")
    assert publishers.export(tmp_path).name == "1"
    assert names(tmp_path) == [".staging-1", "1"]


def test_a_link_for_a_lock_creates_nothing(tmp_path: Path) -> None:
    leaving = tmp_path / "digits" / ".staging-1"
    leaving.mkdir(parents=True)
    (leaving / "lock").symlink_to(tmp_path / "elsewhere")
    assert sweep(tmp_path / "digits") == []
    assert not (tmp_path / "elsewhere").exists()
