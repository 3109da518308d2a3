"""The routing file: who is shown the canary, and what happens when the file or the canary goes."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client import Client, ModelNotFound, UsageError
from gannet_client.routing import Route, read_route

AVAILABLE = 30
GOOD: dict[str, Any] = {
    "model": "digits",
    "stable": "stable",
    "canary": "canary",
    "percent": 100,
    "generation": 1,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "routing.json", GOOD)


@pytest.fixture
def client(target: str, fake: Any, path: Path) -> Any:
    fake.states = {1: AVAILABLE, 2: AVAILABLE, 3: AVAILABLE}
    fake.labels = {"stable": 1, "canary": 2}
    with Client(target, routing=path) as client:
        yield client


def write(path: Path, document: Any) -> Path:
    """Writes the file as a rollout does: in one step."""
    staged = path.with_suffix(".staged")
    staged.write_text(document if isinstance(document, str) else json.dumps(document))
    os.replace(staged, path)
    return path


def version(client: Client, key: str | None = "anna", **options: Any) -> int:
    return client.generate(3, seed=0, key=key, **options).version


def test_a_key_picks_the_canary_and_no_key_is_stable(client: Client, drawn: Any) -> None:
    assert (client.model, version(client), version(client, None)) == ("digits", 2, 1)
    assert np.array_equal(client.generate(3, seed=0, key="anna").array, drawn(range(3), 2))
    assert {piece.version for piece in client.stream(200, seed=0, key="anna")} == {2}
    assert client.status() and client.models().keys() == {"digits"}


def test_a_version_goes_before_the_file(client: Client) -> None:
    assert version(client, None, version=3) == 3
    assert version(client, version_label="stable") == 1


def test_the_file_is_read_again_when_it_changes(client: Client, path: Path) -> None:
    assert version(client) == 2
    write(path, {**GOOD, "percent": 0, "generation": 2})
    assert version(client) == 1
    write(path, {"model": "digits", "stable": 3, "generation": 3, "colour": "red"})
    assert version(client) == version(client, None) == 3


@pytest.mark.parametrize("canary", ["canary", 4])
def test_a_canary_that_has_gone_is_stable(
    client: Client, fake: Any, path: Path, caplog: pytest.LogCaptureFixture, canary: Any
) -> None:
    fake.states[4] = AVAILABLE
    write(path, {**GOOD, "canary": canary})
    assert version(client) in (2, 4)
    del fake.labels["canary"], fake.states[4]
    with caplog.at_level(logging.WARNING, "gannet_client"):
        assert [version(client) for _ in range(3)] == [1, 1, 1]
    assert caplog.text.count("asking the stable version") == 1
    del fake.labels["stable"]
    with pytest.raises(ModelNotFound, match="stable"):
        version(client)


BAD = [
    "{",
    "[]",
    "null",
    '{"model": "digits"}',
    {**GOOD, "percent": 101},
    {**GOOD, "percent": "5"},
    {**GOOD, "percent": float("nan")},
    {**GOOD, "percent": True},
    {**GOOD, "stable": ""},
    {**GOOD, "stable": None},
    {**GOOD, "canary": 1.5},
    {**GOOD, "model": ""},
    {**GOOD, "model": 7},
    {**GOOD, "generation": "x"},
    "[" * 100_000,
    " " * 70_000,
]


@pytest.mark.parametrize("document", BAD, ids=range(len(BAD)))
def test_a_bad_file_changes_nothing_and_is_told_once(
    client: Client, path: Path, document: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "gannet_client"):
        write(path, document)
        assert [version(client) for _ in range(3)] == [2, 2, 2]
        assert len(caplog.records) == 1 and "generation 1 stays in force" in caplog.text
    with pytest.raises(UsageError, match=r"routing file '.*routing.json' is malformed: ") as caught:
        read_route(path)
    assert "\n" not in str(caught.value)
    write(path, {**GOOD, "percent": 0})
    assert version(client) == 1


def test_a_file_that_vanishes_changes_nothing(
    client: Client, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    assert [version(client) for _ in range(3)] == [2, 2, 2]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
def test_a_copy_is_made_whatever_became_of_the_file(client: Client, path: Path, spoil: Any) -> None:
    spoil(path)
    with client.with_options(timeout=5) as copy, copy.with_options(model="digits") as other:
        assert version(copy) == 2
        assert other.generate(1).version == 3
        write(path, {**GOOD, "percent": 0})
        assert version(copy) == version(client) == 1


def test_a_client_needs_a_good_file_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the routing file"):
        Client(routing=tmp_path / "none.json")
    with pytest.raises(UsageError, match="malformed"):
        Client(routing=write(tmp_path / "bad.json", "{"))
    with pytest.raises(UsageError, match=r"either model, .*, or routing"):
        Client(model="digits", routing=tmp_path / "none.json")


@given(st.text(st.characters(codec="utf-8")), st.floats(0, 100), st.floats(0, 100))
def test_whoever_is_shown_the_canary_stays_shown_as_it_grows(key: str, one: float, other: float) -> None:
    small, large = (len(Route("m", "s", "c", percent).refs(key)) for percent in sorted((one, other)))
    assert small <= large
    assert len(Route("m", "s", "c", 0).refs(key)) == 1
    assert len(Route("m", "s", "c", 100).refs(key)) == 2


def test_the_hash_is_fair_and_stable() -> None:
    shown = [key for key in map(str, range(4000)) if len(Route("digits", "s", "c", 25).refs(key)) == 2]
    assert 900 <= len(shown) <= 1100
    assert shown[:5] == ["2", "7", "9", "10", "12"]
