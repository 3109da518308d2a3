"""A version is complete or absent; numbers are never taken twice."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client.errors import GannetError, UsageError
from gannet_export.leavings import sweep
from gannet_export.publication import publish, staging
from tests.export import publishers
from tests.export.publishers import FILES


@pytest.fixture(scope="module", autouse=True)
def without_waiting() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", publishers.do_not_wait)
        yield


def published(models: Path, version: int | None = None, content: str = "graph") -> Path:
    with staging(models, "digits") as staged:
        (staged / "saved_model.pb").write_text(content)
        (staged / "variables").mkdir()
        return publish(staged, version)


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


def test_versions_count_up(tmp_path: Path) -> None:
    assert [published(tmp_path).name for _ in range(3)] == ["1", "2", "3"]


@given(st.sets(st.integers(1, 10**9), max_size=4))
def test_the_next_version_is_above_all_others(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int]
) -> None:
    models = tmp_path_factory.mktemp("models")
    for number in numbers:
        (models / "digits" / f"{number:03d}").mkdir(parents=True)
    assert int(published(models).name) == max(numbers, default=0) + 1


def test_a_chosen_number_is_taken_once(tmp_path: Path) -> None:
    assert published(tmp_path, 1700000000, "first").name == "1700000000"
    with pytest.raises(UsageError, match="version 1700000000 exists already"):
        published(tmp_path, 1700000000, "second")
    assert (tmp_path / "digits" / "1700000000" / "saved_model.pb").read_text() == "first"
    assert names(tmp_path) == ["1700000000"]


@pytest.mark.parametrize("version", [0, -1, 2**63])
def test_versions_are_positive_int64(tmp_path: Path, version: int) -> None:
    with (
        pytest.raises(UsageError, match=f"expected a version .* received {version}"),
        staging(tmp_path, "early", version),
    ):
        pass
    with (
        staging(tmp_path, "late") as staged,
        pytest.raises(UsageError, match=f"expected a version .* received {version}"),
    ):
        publish(staged, version)
    assert not list(tmp_path.iterdir())


def test_a_number_that_no_server_reads_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "digits" / "99999999999999999999").mkdir(parents=True)
    assert published(tmp_path).name == "1"


def test_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "5").write_text("")
    with pytest.raises(UsageError, match="version 5 exists already"):
        published(tmp_path, 5)
    assert published(tmp_path).name == "6"


@pytest.mark.parametrize("name", ["7", "007"])
def test_an_empty_directory_has_its_number(tmp_path: Path, name: str) -> None:
    (tmp_path / "digits" / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="version 7 exists already"):
        published(tmp_path, 7)
    with staging(tmp_path, "digits") as staged, pytest.raises(UsageError, match="version 7 exists already"):
        publish(staged, 7)
    assert published(tmp_path).name == "8"
    assert names(tmp_path) == sorted([name, "8"])


def test_behind_the_last_number_there_is_none(tmp_path: Path) -> None:
    published(tmp_path, 2**63 - 1)
    with pytest.raises(UsageError, match="no number is left above version 9223372036854775807"):
        published(tmp_path)
    assert names(tmp_path) == ["9223372036854775807"]


def test_a_failure_while_staging_leaves_nothing(tmp_path: Path) -> None:
    models = tmp_path / "new" / "models"
    with pytest.raises(RuntimeError, match="half-way"), staging(models, "digits") as staged:
        (staged / "saved_model.pb").write_text("half")
        raise RuntimeError("half-way")
    assert not list(tmp_path.iterdir())


def test_a_directory_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    with pytest.raises(RuntimeError, match="half-way"), staging(tmp_path, "digits"):
        raise RuntimeError("half-way")
    assert names(tmp_path) == []
    assert (tmp_path / "digits").is_dir()


def test_what_is_staged_is_no_version(tmp_path: Path) -> None:
    with staging(tmp_path, "digits"):
        (entry,) = names(tmp_path)
        assert entry.startswith(".staging-")


def test_all_of_a_version_is_on_disk_before_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, before, rename = [], [], os.rename
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    monkeypatch.setattr(os, "rename", lambda *paths: (before.extend(synced), rename(*paths)))
    version = publishers.export(tmp_path / "models")
    assert is_whole(version)
    assert {path.stat().st_ino for path in (version, *version.rglob("*"))} <= set(before)
    assert {path.stat().st_ino for path in (tmp_path, tmp_path / "models")} <= set(before)
    assert version.parent.stat().st_ino in synced[len(before) :]


def test_ten_processes_get_ten_numbers(tmp_path: Path) -> None:
    ends = outcomes("race", tmp_path, 10)
    assert sorted(str(end["said"]) for end in ends) == sorted(
        str(tmp_path / "digits" / str(number)) for number in range(1, 11)
    )
    assert names(tmp_path) == sorted(map(str, range(1, 11)))
    assert all(map(is_whole, (tmp_path / "digits").iterdir()))


# Ends.


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
import keras
from gannet_export import export

def hook(event, arguments):
    if event == "os.rename" and os.path.basename(arguments[1]).isdecimal():
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
layers = [keras.Input([3]), keras.layers.Dense(16, "tanh"), keras.layers.Reshape([4, 4, 1])]
export(keras.Sequential(layers), sys.argv[1], "digits", latent_dim=3, plain=True)
"""


def test_an_export_that_is_killed_before_its_rename_is_swept_by_the_next(tmp_path: Path) -> None:
    program = [sys.executable, "-c", KILLED_EXPORT, str(tmp_path)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert all(name.startswith(".staging-") for name in names(tmp_path))
    assert list(tmp_path.rglob("saved_model.pb"))
    assert publishers.export(tmp_path).name == "1"
    assert names(tmp_path) == ["1"]
    assert is_whole(tmp_path / "digits" / "1")


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


# Leavings.


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
    published(tmp_path)
    assert names(tmp_path) == [".staging-file", ".staging-link", "1"]
    assert not list((tmp_path / "elsewhere").iterdir())


# What cannot be used.


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may write anywhere; its permissions are laid down for the test."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.mark.usefixtures("unprivileged")
def test_a_models_directory_that_is_not_writable(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        pytest.raises(UsageError, match=r"cannot write to the models directory /: Permission denied"),
        staging(Path("/"), "digits"),
    ):
        pass


def test_a_file_where_the_directory_would_be(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("")
    for models in (tmp_path, tmp_path / "digits"):
        with (
            pytest.raises(UsageError, match="cannot write to the models directory"),
            staging(models, "digits"),
        ):
            pass
    assert names(tmp_path.parent, tmp_path.name) == ["digits"]
