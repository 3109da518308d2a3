"""A version is complete or absent; numbers are never taken twice."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client.errors import UsageError
from gannet_export.durability import sync_tree
from gannet_export.publication import publish, staging
from tests.export import publishers
from tests.export.directories import is_whole, names, outcomes

pytestmark = pytest.mark.usefixtures("without_waiting")


def published(models: Path, version: int | None = None, content: str = "graph") -> Path:
    with staging(models, "digits") as staged:
        (staged / "saved_model.pb").write_text(content)
        (staged / "variables").mkdir()
        return publish(staged, version)


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
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    monkeypatch.setattr(os, "rename", lambda *paths: (before.extend(synced), rename(*paths)))
    version = publishers.export(tmp_path / "models")
    assert is_whole(version)
    assert {path.stat().st_ino for path in (version, *version.rglob("*"))} <= set(before)
    assert {path.stat().st_ino for path in (tmp_path, tmp_path / "models")} <= set(before)
    assert version.parent.stat().st_ino in synced[len(before) :]


@pytest.mark.parametrize(
    "trouble, stands_in, told",
    [(None, False, False), (errno.ENOTSUP, True, False), (errno.EIO, False, True)],
    ids=["full", "network", "broken"],
)
def test_where_fsync_stops_at_the_drive_the_drive_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int | None, stands_in: bool, told: bool
) -> None:
    """As on macOS, whose call no other system has."""
    flushed, synced = [], []

    def full(file: int, command: int) -> None:
        assert command == 51
        flushed.append(os.fstat(file).st_ino)
        if trouble:
            raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Input/output") if told else contextlib.nullcontext():
        sync_tree(tmp_path)
        assert set(flushed) == {path.stat().st_ino for path in (tmp_path, tmp_path / "file")}
    assert synced == (flushed if stands_in else [])


def test_ten_processes_get_ten_numbers(tmp_path: Path) -> None:
    ends = outcomes("race", tmp_path, 10)
    assert sorted(str(end["said"]) for end in ends) == sorted(
        str(tmp_path / "digits" / str(number)) for number in range(1, 11)
    )
    assert names(tmp_path) == sorted(map(str, range(1, 11)))
    assert all(map(is_whole, (tmp_path / "digits").iterdir()))


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
