"""`gannet models verify`: whether versions are still what was published."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from gannet_client import contract
from tests.conftest import Ended
from tests.export.directories import NO_FILES, write_card

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
    code, stdout, _ = gannet_models("verify", version.parent.parent)
    *files, graph = stdout.splitlines()
    assert code == 4
    assert files == [
        "tiny/1: notes.txt is extra: the model card does not list it",
        "tiny/1: variables/variables.data-00000-of-00001 is missing",
        "tiny/1: variables/variables.index has changed: expected sha256 "
        f"{sums['variables/variables.index']}, found {hashlib.sha256(b'other').hexdigest()}",
    ]
    assert graph.startswith("tiny/1: the graph does not load in the Session that TensorFlow Serving uses: ")
    ended = gannet_models("verify", version.parent.parent, "tiny", "--json")
    assert ended.code == 4
    assert [f"tiny/1: {found}" for found in json.loads(ended.stdout)[0]["findings"]] == [*files, graph]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("replace", NO_FILES.values(), ids=NO_FILES)
def test_a_file_that_is_none_any_more(
    gannet_models: Call, version: Path, replace: Callable[[Path], None]
) -> None:
    replace(version / "saved_model.pb")
    ended = gannet_models("verify", version.parent.parent)
    findings = [line for line in ended.stdout.splitlines() if "elsewhere" not in line]
    assert findings == [
        "tiny/1: saved_model.pb cannot be read: it is no regular file",
        "tiny/1: the graph is not loaded: saved_model.pb is no regular file",
    ]
    assert ended.code == 4


def test_a_link_is_no_part_of_a_version(gannet_models: Call, version: Path) -> None:
    (version / "elsewhere").symlink_to("/")
    assert gannet_models("verify", version.parent.parent).stdout.splitlines() == [
        "tiny/1: elsewhere is extra: the model card does not list it",
        "tiny/1: the graph is not loaded: elsewhere is no regular file",
    ]


def test_the_gpu_is_left_to_the_server(
    gannet_models: Call, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configurations = []

    class Session(tf.compat.v1.Session):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            configurations.append(options["config"])

    monkeypatch.setattr(tf.compat.v1, "Session", Session)
    assert gannet_models("verify", exported.parent.parent).code == 0
    assert [dict(configuration.device_count) for configuration in configurations] == [{"GPU": 0}]


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
