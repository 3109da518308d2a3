"""A server inside the process, and the fixture that gives one to tests."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from gannet_client import Client
from gannet_client.errors import ModelError, ServerUnreachable
from gannet_serving import LocalServer, local_server, manager
from gannet_serving.loaded import LoadedModel
from gannet_serving.versions import Version

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "test-with-a-local-server.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLUGIN = "gannet_serving.pytest_plugin"


@pytest.fixture(scope="module")
def models(saved_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    (directory / "gen").mkdir()
    saved_models.write_gen(directory / "gen" / "1")
    return directory


def test_serves_while_it_is_open(models: Path, saved_models: Any) -> None:
    noise = np.ones((2, 4), np.float32)
    with LocalServer(models) as server:
        assert server.rest_url == ""
        with Client(server.target, model="gen") as client:
            images = client.predict({"noise": noise})["images"]
            np.testing.assert_allclose(images, saved_models.images(noise), rtol=1e-5)
    server.close()
    with Client(server.target, model="gen") as client, pytest.raises(ServerUnreachable):
        client.predict({"noise": noise})


def test_every_failure_is_named(models: Path, tmp_path: Path) -> None:
    for name in ("bad", "worse", "good"):
        shutil.copytree(models / "gen", tmp_path / name)
    for name in ("bad", "worse"):
        (tmp_path / name / "1" / "saved_model.pb").write_bytes(b"junk" * 100)
    failure = "OUT_OF_RANGE: Read less bytes than requested"
    with pytest.raises(
        ModelError,
        match=f"^not every model is AVAILABLE: bad version 1: {failure}; worse version 1: {failure}$",
    ):
        LocalServer(tmp_path)


def test_a_model_that_has_not_loaded_in_time(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = Event()

    def load_late(version: Version) -> LoadedModel:
        go_on.wait(60)
        raise OSError("never loaded")

    monkeypatch.setattr(manager, "loader", lambda *_: load_late)
    monkeypatch.setattr(local_server, "_GRACE_SECONDS", 0)
    with pytest.raises(ModelError, match=r"^not every model is AVAILABLE: gen.* after 0 s$"):
        LocalServer(models, timeout=0)
    go_on.set()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "no model in {0}; expected directories like {0}/NAME/1"),
        ("nope", "cannot look for models in {0}"),
    ],
)
def test_a_directory_without_models(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=re.escape(message.format(tmp_path / name))):
        LocalServer(tmp_path / name)


def test_the_plugin_and_the_package_are_imported_without_tensorflow() -> None:
    code = f"import sys, gannet_serving, {PLUGIN}; sys.exit(not sys.modules.keys().isdisjoint(HEAVY))"
    code = code.replace("HEAVY", "{'tensorflow', 'grpc', 'uvicorn'}")
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_page_runs(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models / "gen", tmp_path / "models" / "digits")
    snippets = SNIPPET.findall(PAGE.read_text(encoding="utf-8"))
    tests = [snippet for snippet in snippets if "def test_" in snippet]
    for snippet in snippets:
        if snippet not in tests:
            exec(compile(snippet, PAGE.name, "exec"), {})
    Path("test_page.py").write_text("\n".join(tests), encoding="utf-8")
    installed = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:timeout"]
    assert pytest.main([*arguments, *([] if installed else ["-p", PLUGIN]), "test_page.py"]) == 0
