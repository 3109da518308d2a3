"""Many models at once: when they are settled, and that none waits for another."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from gannet_serving.config import Models, models
from gannet_serving.engine import load_model
from gannet_serving.loaded import Loader
from gannet_serving.manager import ModelManager
from gannet_serving.options import ServerOptions
from gannet_serving.servables import State
from gannet_serving.sources import Directory, Fixed
from gannet_serving.status import StatusError
from gannet_serving.versions import Version, find_versions

POLL_SECONDS = 0.01
OPTIONS = ServerOptions(file_system_poll_wait_seconds=POLL_SECONDS, max_num_load_retries=0)


def following(directory: Path, load: Loader | None = None) -> ModelManager:
    return ModelManager(Directory(directory, every=POLL_SECONDS), OPTIONS, load=load)


def eventually(condition: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do; pytest's own limit ends a wait in vain."""
    while not condition():
        Event().wait(POLL_SECONDS)


def is_available(manager: ModelManager, name: str, number: int) -> bool:
    return any(n == number and state is State.AVAILABLE for n, state, _ in manager.statuses(name))


def test_a_model_that_loads_for_ever_holds_up_no_other(saved_models: Any, tmp_path: Path) -> None:
    release = Event()

    def load(version: Version) -> Any:
        if version.model == "slow":
            release.wait()
        return load_model(version.path)

    for name in ("slow", "good"):
        (tmp_path / name).mkdir()
        saved_models.write_gen(tmp_path / name / "1")
    manager = following(tmp_path, load=load)
    manager.start()
    eventually(lambda: is_available(manager, "good", 1))
    saved_models.write_gen(tmp_path / "good" / "2")
    eventually(lambda: is_available(manager, "good", 2))
    assert not manager.wait_until_settled(0)
    assert not manager.stop(timeout=0)
    release.set()
    assert manager.stop()


def test_models_that_come_later_are_added(saved_models: Any, tmp_path: Path) -> None:
    manager = following(tmp_path)
    manager.start()
    assert manager.wait_until_settled(60)
    with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(late\)"):
        manager.lease("late", None)
    (tmp_path / "late").mkdir()
    saved_models.write_gen(tmp_path / "late" / "1")
    eventually(lambda: is_available(manager, "late", 1))
    assert manager.stop()
    assert manager.statuses("late") == [(1, State.END, None)]


def test_a_failed_model_is_settled(saved_models: Any, tmp_path: Path) -> None:
    (tmp_path / "bad" / "1").mkdir(parents=True)
    manager = following(tmp_path)
    manager.start()
    assert manager.wait_until_settled(60)
    [(number, state, failure)] = manager.statuses("bad")
    assert (number, state) == (1, State.END)
    assert failure is not None
    assert manager.stop()


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        (lambda base_path: None, "model gen: cannot read its base path: [Errno 2] No such file or directory"),
        (lambda base_path: base_path.mkdir(), "model gen: no versions below"),
    ],
    ids=["missing", "empty"],
)
def test_a_base_path_without_versions_is_waited_for(
    prepare: Callable[[Path], None],
    complaint: str,
    saved_models: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    saved_models.write_gen(tmp_path / "1")
    caplog.clear()  # of what TensorFlow says about the files that it wrote
    base_path = tmp_path / "gen"
    prepare(base_path)
    manager = ModelManager(Fixed(models({"gen": base_path})), OPTIONS)
    with caplog.at_level(logging.WARNING):
        manager.start()
        eventually(lambda: len(caplog.messages) >= 1)
    assert [message.startswith(complaint) for message in caplog.messages] == [True]
    assert not manager.wait_until_settled(0)
    base_path.mkdir(exist_ok=True)
    (tmp_path / "1").rename(base_path / "1")
    assert manager.wait_until_settled(60)
    assert is_available(manager, "gen", 1)
    assert manager.stop()


def test_a_source_that_cannot_tell_leaves_all_as_it_is(
    saved_models: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "models"
    (directory / "gen").mkdir(parents=True)
    saved_models.write_gen(directory / "gen" / "1")
    manager = following(directory)
    manager.start()
    assert manager.wait_until_settled(60)
    directory.rename(tmp_path / "gone")
    eventually(lambda: any("cannot look for models" in message for message in caplog.messages))
    assert is_available(manager, "gen", 1)
    assert manager.stop()


def test_a_problem_is_told_once_until_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    polls = Counter[str]()

    class Unreadable:
        every = POLL_SECONDS

        def read(self, current: Models) -> Models:
            polls["source"] += 1
            raise OSError("first" if polls["source"] < 20 else "then")

    manager = ModelManager(Unreadable(), OPTIONS)
    manager.start()
    eventually(lambda: polls["source"] >= 40)
    assert manager.stop()
    assert caplog.messages == ["cannot look for models: first", "cannot look for models: then"]


def test_a_bug_in_following_a_model_ends_neither_its_thread_nor_the_start(
    saved_models: Any, tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    polls = Counter[str]()

    def look(path: Path) -> Any:
        if path != tmp_path:  # a model of a server that other tests share
            return find_versions(path)
        polls["broken"] += 1
        raise RuntimeError("boom")

    saved_models.write_gen(tmp_path / "1")
    manager = ModelManager(Fixed(models({"gen": tmp_path})), OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr("gannet_serving.model.find_versions", look)
        manager.start()
        assert manager.wait_until_settled(60)
        eventually(lambda: polls["broken"] >= 3)
    eventually(lambda: is_available(manager, "gen", 1))
    assert manager.stop()
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "model gen: cannot be followed: RuntimeError('boom')"
    ]
