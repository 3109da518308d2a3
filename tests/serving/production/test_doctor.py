"""`gannet doctor`: what it finds, and that it finds nothing where nothing is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gannet_client.contract import CARD_FILE
from gannet_client.errors import UsageError
from gannet_serving.commands.doctor import doctor


def examine(*arguments: object) -> Result:
    return CliRunner().invoke(doctor, [str(argument) for argument in arguments], standalone_mode=False)


def findings(*arguments: object) -> list[tuple[str, str]]:
    """Level and text of each finding; the exit code is 1 if one is an error."""
    result = examine(*arguments, "--json")
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert result.return_value == int(any(finding["level"] == "error" for finding in found))
    return [(finding["level"], finding["what"]) for finding in found]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """`gen` with two versions of a model that looks right."""
    models = tmp_path / "models"
    for number in (1, 2):
        version = models / "gen" / str(number)
        (version / "assets.extra").mkdir(parents=True)
        (version / "saved_model.pb").touch()
        (version / CARD_FILE).write_text("{}")
    return models


def break_nothing(models: Path) -> None:
    (models / ".lock").touch()
    (models / "gen" / ".staging-1").mkdir()
    (models / "gen" / "labels.json").write_text('{"stable": 2}')


def remove_the_graph(models: Path) -> None:
    (models / "gen" / "2" / "saved_model.pb").unlink()


def forget_the_number(models: Path) -> None:
    (models / "flat").mkdir()
    (models / "flat" / "saved_model.pb").touch()


def make_an_empty_model(models: Path) -> None:
    (models / "ümläut").mkdir()


def label_what_is_gone(models: Path) -> None:
    (models / "gen" / "labels.json").write_text('{"canary": 3}')


def write_junk_labels(models: Path) -> None:
    (models / "gen" / "labels.json").write_text("[]")


def bring_a_foreign_model(models: Path) -> None:
    (models / "gen" / "1" / CARD_FILE).unlink()


def hide_a_file(models: Path) -> None:
    (models / "gen" / "1" / "saved_model.pb").chmod(0o600)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (break_nothing, []),
        (
            remove_the_graph,
            [("error", "has no saved_model.pb: it would not load, and be tried again and again")],
        ),
        (forget_the_number, [("error", "holds a SavedModel itself; a server finds no version")]),
        (
            make_an_empty_model,
            [("error", "has no directory that is named by a number; a server finds no version")],
        ),
        (label_what_is_gone, [("error", "label canary names version 3, which is not there")]),
        (
            write_junk_labels,
            [("error", "cannot be read: AttributeError(\"'list' object has no attribute 'items'\")")],
        ),
        (
            bring_a_foreign_model,
            [
                (
                    "warning",
                    "has no model card: Gannet did not export it, clients know its signatures alone",
                )
            ],
        ),
        (
            hide_a_file,
            [
                (
                    "warning",
                    "saved_model.pb is not readable by all, and a server in a container is another user",
                )
            ],
        ),
    ],
)
def test_a_models_directory(
    change: Callable[[Path], None], expected: list[tuple[str, str]], models: Path
) -> None:
    change(models)
    assert findings(models) == expected


def test_places_that_are_no_models_directory(models: Path, tmp_path: Path) -> None:
    assert findings(tmp_path / "missing") == [("error", "cannot be read: No such file or directory")]
    assert findings(models / "gen") == [
        ("error", "holds versions, so it is a model and not a directory of models")
    ]
    (tmp_path / "none").mkdir()
    assert findings(tmp_path / "none") == [("error", "holds no model")]


def test_a_configuration(models: Path) -> None:
    file = models.parent / "serving.toml"
    file.write_text("[models.gen]\nlabels = { stable = 1 }")
    assert findings(file) == [
        ("error", "models.gen: label stable names version 1; the server would load [2]")
    ]
    file.write_text("[models.gen]")
    assert findings(file) == []
    result = examine(file, models)
    assert (result.stdout, result.stderr) == ("", "nothing is wrong\n")


def test_a_running_server(served: Any) -> None:
    [found] = findings("--server", served.address, "--model", "nope")
    assert found[0] == "error"
    assert "Could not find any versions of model nope" in found[1]
    assert findings("--server", served.address, "--model", "gen") == [
        ("warning", "the highest version lacks the signatures of Gannet")
    ]


def test_no_server() -> None:
    [(level, what)] = findings("--server", "127.0.0.1:1", "--model", "gen")
    assert level == "error"
    assert "no server answers" in what


@pytest.mark.parametrize("arguments", [(), ("--server", "127.0.0.1:1"), ("--model", "gen")])
def test_what_it_must_be_told(arguments: tuple[str, ...]) -> None:
    assert isinstance(examine(*arguments).exception, UsageError)
