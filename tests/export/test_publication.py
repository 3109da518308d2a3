"""A version is complete or absent; numbers are never taken twice."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client.errors import UsageError
from gannet_export.publication import publish, staging


def published(models: Path, version: int | None = None, content: str = "graph") -> Path:
    with staging(models, "digits") as staged:
        (staged / "saved_model.pb").write_text(content)
        (staged / "variables").mkdir()
        return publish(staged, version)


def names(models: Path) -> list[str]:
    return sorted(child.name for child in (models / "digits").iterdir())


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
    with pytest.raises(UsageError, match=f"received {version}"):
        published(tmp_path, version)
    assert names(tmp_path) == []
    with pytest.raises(UsageError, match=f"received {version}"), staging(tmp_path, "early", version):
        pass
    assert not (tmp_path / "early").exists()


def test_a_number_that_no_server_reads_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "digits" / "99999999999999999999").mkdir(parents=True)
    assert published(tmp_path).name == "1"


def test_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "5").write_text("")
    with pytest.raises(UsageError, match="version 5 exists already"):
        published(tmp_path, 5)
    assert published(tmp_path).name == "6"


def test_a_failure_while_staging_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="half-way"), staging(tmp_path, "digits") as staged:
        (staged / "saved_model.pb").write_text("half")
        raise RuntimeError("half-way")
    assert names(tmp_path) == []


def test_what_is_staged_is_no_version(tmp_path: Path) -> None:
    with staging(tmp_path, "digits") as staged:
        assert not staged.name.isdecimal()
        assert staged.parent == tmp_path / "digits"


def test_ten_publishers_get_ten_numbers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(10) as pool:
        versions = list(pool.map(lambda content: published(tmp_path, content=str(content)), range(10)))
    assert sorted(int(version.name) for version in versions) == list(range(1, 11))
    assert {(version / "saved_model.pb").read_text() for version in versions} == set(map(str, range(10)))


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
