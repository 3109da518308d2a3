"""`gannet models verify`: whether versions are still what was published."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from gannet_client import contract
from tests.conftest import Ended
from tests.export.directories import write_card

Call = Callable[..., Ended]


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
