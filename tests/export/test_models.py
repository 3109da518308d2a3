"""`gannet models`: what lies in a models directory, whether it is what was published, and what may go."""

import hashlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from gannet_client import cli, contract
from gannet_client.errors import ModelError
from gannet_export import export
from gannet_export.collection import removable
from tests.conftest import Ended

Call = Callable[..., Ended]


@pytest.fixture
def gannet_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs `gannet models` in this process."""
    monkeypatch.delenv("GANNET_SERVER", raising=False)

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["gannet models", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            cli.run("gannet_export.commands.models:models", "gannet models")
        return Ended(int(ending.value.code or 0), *capsys.readouterr())

    return call


def write_card(version: Path, **card: Any) -> None:
    """Make a version good again, whatever its files are."""
    (version / "assets.extra").mkdir(parents=True, exist_ok=True)
    path = version / contract.CARD_FILE
    files = (file for file in version.rglob("*") if file.is_file() and file != path)
    sums = {
        file.relative_to(version).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    path.write_text(json.dumps({"format": 1, "files": sums, **card}))


def write_version(models: Path, name: str, number: int, **card: Any) -> Path:
    """A version that is good as far as its files go; its graph is none."""
    version = models / name / str(number)
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    write_card(version, **card)
    return version


def numbers(models: Path, name: str = "digits") -> list[int]:
    return sorted(int(entry.name) for entry in (models / name).iterdir() if entry.name.isdecimal())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model with five versions, labels and a card of the kind that exports write."""
    models = tmp_path / "models"
    for number in range(1, 6):
        write_version(
            models,
            "digits",
            number,
            family="dcgan",
            image_shape=[16, 12, 1],
            training={"data": "digits", "steps": 2000 * number},
            graph={"precision": "float32"},
        )
    (models / "digits" / "labels.json").write_text('{"stable": 2, "last": 2, "canary": 5}')
    return models


# ls


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


def test_a_card_of_strange_values_is_listed(gannet_models: Call, tmp_path: Path) -> None:
    strange = {"family": "\x1b[2J[red]x", "training": [1], "image_shape": {"a": 1}, "graph": "float32"}
    write_version(tmp_path, "digits", 1, **strange)
    for command in (("ls", tmp_path), ("show", tmp_path, "digits")):
        code, stdout, stderr = gannet_models(*command)
        assert (code, stderr) == (0, "")
        assert "?[2J[red]x" in stdout
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
    for command in ("ls", "verify"):
        code, stdout, stderr = gannet_models(command, tmp_path)
        assert (code, stdout) == (0, "")
        assert stderr == (
            f"no version in {tmp_path}, expected {tmp_path}/NAME/1; `gannet export` writes one\n"
        )
        assert gannet_models(command, tmp_path, "--json") == (0, "[]\n", "")
    for command in ("ls", "verify", "gc"):
        code, stdout, stderr = gannet_models(command, tmp_path / "missing")
        assert (code, stdout) == (2, "")
        assert "missing is not a directory; expected one that holds models" in stderr


# show


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


# verify


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version as `gannet export` writes it."""
    generator = keras.Sequential(
        [keras.Input([3]), keras.layers.Dense(64, "tanh"), keras.layers.Reshape([8, 8, 1])]
    )
    return export(generator, tmp_path_factory.mktemp("exported"), "tiny", latent_dim=3, plain=True)


@pytest.fixture
def version(exported: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return shutil.copytree(exported, tmp_path / "models" / "tiny" / "1")


def test_what_was_published_is_verified(gannet_models: Call, exported: Path) -> None:
    models = exported.parent.parent
    assert gannet_models("verify", models) == (0, "tiny/1: ok\n", "")
    expected = [{"name": "tiny", "version": 1, "findings": []}]
    assert json.loads(gannet_models("verify", models, "tiny/1", "--json").stdout) == expected


def test_every_finding_has_its_line(gannet_models: Call, version: Path) -> None:
    index = version / "variables" / "variables.index"
    sums = json.loads((version / contract.CARD_FILE).read_text())["files"]
    index.write_bytes(b"other")
    (version / "variables" / "variables.data-00000-of-00001").unlink()
    (version / "notes.txt").write_text("")
    (version / "elsewhere").symlink_to("/")
    code, stdout, _ = gannet_models("verify", version.parent.parent)
    *files, graph = stdout.splitlines()
    assert code == 4
    assert files == [
        "tiny/1: elsewhere is extra: the model card does not list it",
        "tiny/1: notes.txt is extra: the model card does not list it",
        "tiny/1: variables/variables.data-00000-of-00001 is missing",
        "tiny/1: variables/variables.index has changed: expected sha256 "
        f"{sums['variables/variables.index']}, found {hashlib.sha256(b'other').hexdigest()}",
    ]
    assert graph.startswith("tiny/1: the graph does not load in the Session that TensorFlow Serving uses: ")
    ended = gannet_models("verify", version.parent.parent, "tiny", "--json")
    assert ended.code == 4
    assert [f"tiny/1: {found}" for found in json.loads(ended.stdout)[0]["findings"]] == [*files, graph]


def test_a_file_that_is_none_any_more(gannet_models: Call, version: Path) -> None:
    graph = version / "saved_model.pb"
    graph.rename(version / "moved.pb")
    graph.symlink_to("/dev/null/nowhere")
    stdout = gannet_models("verify", version.parent.parent).stdout
    assert "tiny/1: saved_model.pb is no file any more\n" in stdout
    assert "tiny/1: moved.pb is extra" in stdout


def test_a_graph_without_a_signature(gannet_models: Call, version: Path) -> None:
    saved = SavedModel.FromString((version / "saved_model.pb").read_bytes())
    del saved.meta_graphs[0].signature_def["png"]
    (version / "saved_model.pb").write_bytes(saved.SerializeToString())
    write_card(version)
    ended = gannet_models("verify", version.parent.parent)
    assert ended == (4, "tiny/1: the graph lacks the signatures png\n", "")


def test_a_card_that_lists_no_files(gannet_models: Call, version: Path) -> None:
    write_card(version, files=None)
    ended = gannet_models("verify", version.parent.parent)
    assert ended == (4, "tiny/1: the model card lists no files\n", "")


# gc


def test_old_versions_go_and_labelled_ones_stay(gannet_models: Call, models: Path) -> None:
    told = gannet_models("gc", models, "--keep", 1, "--dry-run")
    assert told.stdout == "".join(f"digits/{number} would be removed, 244 B\n" for number in (1, 3, 4))
    assert numbers(models) == [1, 2, 3, 4, 5]
    done = gannet_models("gc", models, "--keep", 1)
    assert done == (0, told.stdout.replace("would be", "was"), "")
    assert sorted(os.listdir(models / "digits")) == ["2", "5", "labels.json"]
    assert gannet_models("gc", models, "--keep", 1) == (0, "", "")


def test_json_tells_what_went(gannet_models: Call, models: Path) -> None:
    (models / "digits" / ".staging-abandoned" / "version").mkdir(parents=True)
    assert json.loads(gannet_models("gc", models, "--json").stdout) == {
        "dry_run": False,
        "removed": [{"name": "digits", "version": 1, "bytes": 244}],
        "swept": ["digits/.staging-abandoned"],
        "stopped": [],
    }
    assert sorted(os.listdir(models / "digits")) == ["2", "3", "4", "5", "labels.json"]


def test_leavings_are_told_before_they_are_swept(gannet_models: Call, models: Path) -> None:
    leaving = models / "digits" / ".staging-abandoned"
    leaving.mkdir()
    told = gannet_models("gc", models, "--keep", 9, "--dry-run").stdout
    assert (told, leaving.exists()) == ("digits/.staging-abandoned would be swept\n", True)
    told = gannet_models("gc", models, "--keep", 9).stdout
    assert (told, leaving.exists()) == ("digits/.staging-abandoned was swept\n", False)


def test_only_the_model_that_is_named_loses_versions(gannet_models: Call, models: Path) -> None:
    shutil.copytree(models / "digits", models / "others")
    assert gannet_models("gc", models, "others").stdout == "others/1 was removed, 244 B\n"
    assert numbers(models) == [1, 2, 3, 4, 5]
    assert gannet_models("gc", models, "cats").code == 4
    assert gannet_models("gc", models, "--keep", 0).code == 2


def test_the_newest_good_version_stays(gannet_models: Call, models: Path) -> None:
    for number in (4, 5):
        (models / "digits" / str(number) / "saved_model.pb").write_bytes(b"damaged")
    assert gannet_models("gc", models, "--keep", 1).code == 0
    assert numbers(models) == [2, 3, 5]


def test_a_model_without_a_good_version_is_left_alone(gannet_models: Call, models: Path) -> None:
    shutil.copytree(models / "digits", models / "foreign")
    for card in (models / "foreign").rglob("gannet.json"):
        card.unlink()
    code, stdout, stderr = gannet_models("gc", models)
    assert (code, stdout) == (4, "digits/1 was removed, 244 B\n")
    assert stderr == (
        "gannet: no version of 'foreign' is good, so that none is removed; see `gannet models verify`\n"
    )
    assert numbers(models, "foreign") == [1, 2, 3, 4, 5]


def test_a_link_to_a_version_goes_and_the_version_stays(gannet_models: Call, models: Path) -> None:
    target = (models / "digits" / "1").rename(models.parent / "elsewhere")
    (models / "digits" / "1").symlink_to(target)
    assert gannet_models("gc", models).code == 0
    assert sorted(os.listdir(models / "digits")) == ["2", "3", "4", "5", "labels.json"]
    assert (target / "saved_model.pb").read_bytes() == b"graph"


@given(st.data())
def test_what_is_kept_is_what_is_needed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    models = tmp_path_factory.mktemp("models")
    there = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=6, unique=True))
    damaged = data.draw(st.sets(st.sampled_from(there)))
    labelled = data.draw(st.sets(st.integers(1, 20), max_size=2))
    in_service = data.draw(st.sets(st.integers(1, 20), max_size=2))
    keep = data.draw(st.integers(1, 4))
    for number in there:
        version = write_version(models, "digits", number)
        if number in damaged:
            (version / "saved_model.pb").unlink()
    labels = {str(number): number for number in labelled}
    (models / "digits" / "labels.json").write_text(json.dumps(labels))
    good = set(there) - damaged
    if not good and len(there) > keep:
        with pytest.raises(ModelError, match="no version of 'digits' is good"):
            removable(models, "digits", keep, in_service)
        return
    gone = [version.number for version in removable(models, "digits", keep, in_service)]
    highest = sorted(there)[-keep:]
    newest_good = {max(good)} if good else set()
    assert gone == sorted(set(there) - {*highest, *newest_good, *labelled, *in_service})


@pytest.fixture
def server(exported: Path, models: Path) -> Iterator[str]:
    """Serves `digits`, of whose versions only 3 has a graph that loads; its address."""
    from gannet_serving.manager import ModelManager
    from gannet_serving.server import ModelServer

    shutil.copy(exported / "saved_model.pb", models / "digits" / "3")
    shutil.copytree(exported / "variables", models / "digits" / "3" / "variables")
    write_card(models / "digits" / "3")
    manager = ModelManager(lambda: {"digits": models / "digits"}, poll_seconds=60)
    manager.start()
    assert manager.wait_until_settled(60)
    server = ModelServer(manager)
    server.start()
    yield server.address
    server.stop(grace=0)
    assert manager.stop(60)


def test_what_a_server_has_in_service_stays(gannet_models: Call, models: Path, server: str) -> None:
    shutil.copytree(models / "digits", models / "unserved")
    ended = gannet_models("gc", models, "--keep", 1, "--server", server, "--json")
    assert (ended.code, ended.stderr) == (0, "")
    assert numbers(models) == [2, 3, 5]
    assert numbers(models, "unserved") == [2, 5]


def test_the_server_may_stand_in_the_environment(
    gannet_models: Call, models: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANNET_SERVER", server)
    assert gannet_models("gc", models, "--keep", 1).code == 0
    assert numbers(models) == [2, 3, 5]


def test_without_an_answer_of_the_server_nothing_goes(gannet_models: Call, models: Path) -> None:
    leaving = models / "digits" / ".staging-abandoned"
    leaving.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        code, stdout, stderr = gannet_models("gc", models, "--keep", 1, "--server", target)
    assert (code, stdout) == (3, "")
    assert f"model 'digits' at {target}: no server answers" in stderr
    assert numbers(models) == [1, 2, 3, 4, 5]
    assert leaving.exists()


def test_a_version_that_cannot_be_removed_is_one_line(
    gannet_models: Call, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models / "digits", models / "others")

    def refuse(path: Path, target: Path) -> None:
        if path.parent.name == "digits":
            raise PermissionError(13, "Permission denied", str(path))
        os.rename(path, target)

    # Root, whom tests may run as, is refused nothing.
    monkeypatch.setattr(Path, "rename", refuse)
    ended = gannet_models("gc", models)
    assert ended == (
        1,
        "others/1 was removed, 244 B\n",
        "gannet: cannot remove version 1 of 'digits': Permission denied\n",
    )
    assert numbers(models) == [1, 2, 3, 4, 5]
