"""Which names are versions, which directories are models, and when files count as changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_serving.versions import find_models, find_versions, fingerprint, parse_version

INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    "name", ["1", "00000123", "+5", "-1", " 7", "7 ", "9223372036854775807", "1793217241"]
)
def test_numbers_are_versions(name: str) -> None:
    assert parse_version(name) == int(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "v1",
        "1.0",
        "1_000",
        "0x1",
        ".tmp-5",
        "5.tmp",
        "1 2",
        "٣",
        "9223372036854775808",
        ".staging-5",
        "--1",
    ],
)
def test_other_names_are_not(name: str) -> None:
    assert parse_version(name) is None


@given(INT64, st.integers(0, 5))
def test_every_int64_is_read_back(number: int, zeros: int) -> None:
    sign, digits = ("-", str(-number)) if number < 0 else ("", str(number))
    assert parse_version(sign + "0" * zeros + digits) == number


@given(st.text())
def test_no_name_is_an_error(name: str) -> None:
    number = parse_version(name)
    assert number is None or number == int(name)


def test_versions_are_found_whatever_they_are(tmp_path: Path) -> None:
    for name in ("1", "003", ".staging-4", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert find_versions(tmp_path) == {1: tmp_path / "1", 3: tmp_path / "003", 7: tmp_path / "7"}


def test_of_two_spellings_the_last_counts(tmp_path: Path) -> None:
    for name in ("1", "001"):
        (tmp_path / name).mkdir()
    assert find_versions(tmp_path) == {1: tmp_path / "1"}


def test_models_are_subdirectories_with_versions(tmp_path: Path) -> None:
    for name in ("gen/1", "empty", "staged/.staging-1", "other/12"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert find_models(tmp_path) == {"gen": tmp_path / "gen", "other": tmp_path / "other"}


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "new").write_text(""),
        lambda path: (path / "sub" / "new").mkdir(),
        lambda path: (path / "sub" / "file").unlink(),
        lambda path: (path / "sub" / "file").write_text("longer than before"),
        lambda path: os.utime(path / "sub" / "file", ns=(0, 0)),
    ],
)
def test_a_fingerprint_differs_after_a_change(change: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("content")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    change(tmp_path)
    assert fingerprint(tmp_path) != before


def test_a_fingerprint_of_nothing(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "missing") == frozenset()
