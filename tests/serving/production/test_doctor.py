"""`gannet doctor`: what it finds in a models directory, and that it finds nothing where nothing is wrong."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gannet_client.contract import CARD_FILE
from tests.serving.production.commands import examine, findings


def break_nothing(models: Path) -> None:
    (models / ".lock").touch()
    (models / "lost+found").mkdir(0o700)
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


def damage_the_graph(models: Path) -> None:
    (models / "gen" / "2" / "saved_model.pb").write_bytes(b"groph")


def lose_a_variable(models: Path) -> None:
    (models / "gen" / "2" / CARD_FILE).write_text(json.dumps({"files": {"variables/x": "0", "v": "1"}}))


def write_a_junk_card(models: Path) -> None:
    (models / "gen" / "2" / CARD_FILE).write_text("junk")


def write_a_card_that_is_a_list(models: Path) -> None:
    (models / "gen" / "2" / CARD_FILE).write_text("[]")


def link_to_nowhere(models: Path) -> None:
    (models / "gen" / "2" / "link").symlink_to("nowhere")


def link_to_another_directory(models: Path) -> None:
    (models / "gen" / "2").rename(models.parent / "elsewhere")
    (models / "gen" / "2").symlink_to("../../elsewhere")
    (models / "same").symlink_to("gen")


def link_in_a_circle(models: Path) -> None:
    (models / "gen" / "3").symlink_to("3")


def write_bottomless_labels(models: Path) -> None:
    (models / "gen" / "labels.json").write_text("[" * 100_000)


def publish_a_file(models: Path) -> None:
    (models / "gen" / "3").touch()


def hide_the_models(models: Path) -> None:
    models.chmod(0o750)


def hide_a_model(models: Path) -> None:
    (models / "gen").chmod(0o711)


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
        (damage_the_graph, [("error", "saved_model.pb is not as it was exported")]),
        (lose_a_variable, [("error", "v and 1 more is not as it was exported")]),
        (
            write_a_junk_card,
            [
                (
                    "error",
                    "assets.extra/gannet.json is no model card: Expecting value: line 1 column 1 (char 0)",
                )
            ],
        ),
        (
            write_a_card_that_is_a_list,
            [("error", "assets.extra/gannet.json is no model card: expected an object, received []")],
        ),
        (link_to_nowhere, [("error", "cannot be read: No such file or directory")]),
        (
            link_to_another_directory,
            2 * [("warning", "leads out of $models, and a server in a container sees nothing else")],
        ),
        (link_in_a_circle, [("error", "cannot be read: Too many levels of symbolic links")]),
        (
            write_bottomless_labels,
            [
                (
                    "error",
                    "cannot be read: RecursionError('maximum recursion depth exceeded while decoding a JSON "
                    "array from a unicode string')",
                )
            ],
        ),
        (publish_a_file, [("error", "cannot be read: Not a directory")]),
        (
            hide_the_models,
            [("warning", "models is not readable by all, and a server in a container is another user")],
        ),
        (
            hide_a_model,
            [("warning", "gen is not readable by all, and a server in a container is another user")],
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
    assert findings(models) == [(level, what.replace("$models", str(models))) for level, what in expected]


def test_a_damaged_version_has_a_cure(models: Path) -> None:
    damage_the_graph(models)
    assert f"see gannet models verify {models} gen/2, " in examine(models).stdout


@contextmanager
def kept_from_us(path: Path) -> Iterator[None]:
    """A path that this process may not read; root takes the part of a user who is nobody."""
    user = os.geteuid()
    path.chmod(0)
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(0o755)


@pytest.mark.parametrize("hidden", [".", "gen", "gen/2", "gen/2/assets.extra"])
def test_what_belongs_to_another_user(
    hidden: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # those above it are private, too
    tmp_path.chmod(0o755)
    with kept_from_us(models / hidden):
        assert ("error", "cannot be read: Permission denied") in findings("models")


def test_places_that_are_no_models_directory(models: Path, tmp_path: Path) -> None:
    assert findings(tmp_path / "missing") == [("error", "cannot be read: No such file or directory")]
    assert findings(models / "gen") == [
        ("error", "holds versions, so it is a model and not a directory of models")
    ]
    (tmp_path / "none").mkdir()
    assert findings(tmp_path / "none") == [("error", "holds no model")]
