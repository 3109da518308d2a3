"""`gannet models ls` and `show`: what lies in a models directory."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gannet_client import contract
from gannet_client.errors import ModelError
from tests.conftest import Ended
from tests.export.directories import NO_FILES, numbers, write_version

Call = Callable[..., Ended]


def test_versions_are_listed_with_what_their_cards_say(gannet_models: Call, models: Path) -> None:
    code, stdout, stderr = gannet_models("ls", models)
    header, *rows = stdout.splitlines()
    assert (code, stderr, len(rows)) == (0, "", 5)
    columns = "name version labels family image steps precision size created"
    assert " ".join(header.split()) == columns
    assert " ".join(rows[1].split()).startswith("digits 2 last, stable dcgan 16x12x1 4000 float32 244 B 20")
    assert " ".join(rows[2].split()).startswith("digits 3 - dcgan 16x12x1 6000 float32 244 B 20")


def test_json_lists_the_same(gannet_models: Call, models: Path) -> None:
    rows = json.loads(gannet_models("ls", models, "--json").stdout)
    assert [row["version"] for row in rows] == [1, 2, 3, 4, 5]
    version = models / "digits" / "5"
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    os.utime(version / contract.CARD_FILE, (1_700_000_000, 1_700_000_000))
    assert json.loads(gannet_models("ls", models, "--json").stdout)[4] == {
        "name": "digits",
        "version": 5,
        "labels": ["canary"],
        "family": "dcgan",
        "image_shape": [16, 12, 1],
        "steps": 10000,
        "precision": "float32",
        "bytes": size,
        "created": "2023-11-14T22:13:20+00:00",
        "trouble": None,
    }


TROUBLES = {
    "none": (None, "no model card (assets.extra/gannet.json)"),
    "broken": (b'{"format": 1', "the model card cannot be read: Expecting"),
    "binary": (b"\xff\xfe\x00", "the model card cannot be read: "),
    "deep": (b"[" * 100_000, "the model card cannot be read: "),
    "huge": (b" " * (1 << 24) + b"{}", "the model card cannot be read: it is larger than 16777216 bytes"),
    "list": (b"[]", "the model card has format 'list'; this release reads 1"),
    "later": (b'{"format": 2}', "the model card has format 2; this release reads 1"),
}


@pytest.mark.parametrize("content, trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_version_without_a_readable_card_is_listed(
    gannet_models: Call, tmp_path: Path, content: bytes | None, trouble: str
) -> None:
    card = write_version(tmp_path, "foreign", 3) / contract.CARD_FILE
    card.unlink() if content is None else card.write_bytes(content)
    code, stdout, stderr = gannet_models("ls", tmp_path)
    _, row, line = stdout.splitlines()
    assert (code, stderr) == (0, "")
    assert row.split()[:2] == ["foreign", "3"]
    assert line.startswith(f"foreign/3: {trouble}")
    for ended in (gannet_models("show", tmp_path, "foreign"), gannet_models("verify", tmp_path)):
        assert ended.code == 4
        assert f"foreign/3: {trouble}" in ended.stdout + ended.stderr


@pytest.mark.timeout(20)
@pytest.mark.parametrize("replace", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_not_read(
    gannet_models: Call, models: Path, replace: Callable[[Path], None]
) -> None:
    replace(models / "digits" / "5" / contract.CARD_FILE)
    replace(models / "digits" / "labels.json")
    code, stdout, _ = gannet_models("ls", models)
    assert code == 0
    assert stdout.count("labels.json of 'digits' cannot be read: it is no regular file") == 5
    assert stdout.count("the model card cannot be read: it is no regular file") == 1
    ended = gannet_models("gc", models, "--keep", 1)
    assert ended.stderr == "gannet: labels.json of 'digits' cannot be read: it is no regular file\n"
    assert numbers(models) == [1, 2, 3, 4, 5]


def test_the_models_themselves_may_be_links(gannet_models: Call, models: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "numbers").symlink_to(models / "digits")
    row = gannet_models("ls", tmp_path / "linked").stdout.splitlines()[2]
    assert " ".join(row.split()).startswith("numbers 2 last, stable dcgan")


def test_a_card_of_strange_values_is_listed(gannet_models: Call, tmp_path: Path) -> None:
    strange = {"family": "\x1b[2J[red]x", "training": [1], "image_shape": {"a": 1}, "graph": "float32"}
    write_version(tmp_path, "digits", 1, **strange)
    for command in (("ls", tmp_path), ("show", tmp_path, "digits")):
        code, stdout, stderr = gannet_models(*command)
        assert (code, stderr) == (0, "")
        assert r"\x1b[2J[red]x" in stdout
        assert "\x1b" not in stdout


@pytest.mark.parametrize("content", ["[[[", '{"stable": "3"}', '{"stable": true}', "[3]"])
def test_labels_that_cannot_be_read_are_a_trouble(gannet_models: Call, models: Path, content: str) -> None:
    (models / "digits" / "labels.json").write_text(content)
    code, stdout, _ = gannet_models("ls", models)
    assert code == 0
    assert stdout.count("labels.json of 'digits' ") == 5
    code, stdout, stderr = gannet_models("gc", models, "--keep", 1)
    assert (code, stdout, stderr.count("\n")) == (4, "", 1)
    assert stderr.startswith("gannet: labels.json of 'digits' ")
    assert numbers(models) == [1, 2, 3, 4, 5]


def test_where_there_is_nothing_one_line_says_so(gannet_models: Call, tmp_path: Path) -> None:
    nothing = f"no version in {tmp_path}, expected {tmp_path}/NAME/1; `gannet export` writes one\n"
    for command in ("ls", "gc"):
        assert gannet_models(command, tmp_path) == (0, "", nothing)
    assert gannet_models("ls", tmp_path, "--json") == (0, "[]\n", "")
    assert gannet_models("verify", tmp_path) == (4, "", f"gannet models: {nothing}")
    assert gannet_models("verify", tmp_path, "--json") == (4, "[]\n", f"gannet models: {nothing}")
    for command in ("ls", "verify", "gc"):
        code, stdout, stderr = gannet_models(command, tmp_path / "missing")
        assert (code, stdout) == (2, "")
        assert "missing is not a directory; expected one that holds models" in stderr


def test_a_model_is_not_a_models_directory(gannet_models: Call, models: Path) -> None:
    told = f"{models / 'digits'} holds versions, not models; pass the directory above it\n"
    for command in ("ls", "gc"):
        assert gannet_models(command, models / "digits") == (0, "", told)
    assert gannet_models("verify", models / "digits") == (4, "", f"gannet models: {told}")


def test_the_card_of_the_newest_version_is_shown(gannet_models: Call, models: Path) -> None:
    code, stdout, _ = gannet_models("show", models, "digits")
    assert code == 0
    assert stdout.startswith("name: digits\nversion: 5\nlabels: canary\nformat: 1\n")
    assert "image_shape: 16, 12, 1\ntraining:\n  data: digits\n  steps: 10000\n" in stdout


def test_json_shows_the_whole_card(gannet_models: Call, models: Path) -> None:
    shown = json.loads(gannet_models("show", models, "digits/2", "--json").stdout)
    card = shown.pop("card")
    assert shown == {"name": "digits", "version": 2, "labels": ["last", "stable"]}
    assert card == json.loads((models / "digits" / "2" / contract.CARD_FILE).read_text())


@pytest.mark.parametrize(
    "reference, code, message",
    [
        ("cats", 4, "no model 'cats' in .*; it holds 'digits'"),
        ("digits/9", 4, "model 'digits' in .* has no version 9; it has 1, 2, 3, 4, 5"),
        ("digits/new", 2, "expected NAME or NAME/VERSION with a number, received 'digits/new'"),
        ("digits/", 2, "expected NAME or NAME/VERSION"),
        ("../models/1", 2, "expected NAME or NAME/VERSION"),
        ("..", 2, "expected a model name"),
        ("empty", 4, "model 'empty' in .* has no version"),
    ],
)
def test_what_is_not_there_is_one_line(
    gannet_models: Call, models: Path, reference: str, code: int, message: str
) -> None:
    (models / "empty").mkdir()
    for command in ("show", "verify"):
        ended = gannet_models(command, models, reference)
        assert (ended.code, ended.stdout) == (code, "")
        with pytest.raises(ModelError, match=f"^gannet models: {message}"):
            raise ModelError(ended.stderr)
