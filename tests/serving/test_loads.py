"""Versions that are tried again, wait for each other or are no longer wanted."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest

from gannet_serving.config import ModelConfig, Models, VersionPolicy, models
from gannet_serving.loaded import Loader
from gannet_serving.loads import Loads
from gannet_serving.manager import ModelManager
from gannet_serving.model import Model
from gannet_serving.options import ServerOptions
from gannet_serving.servables import Servables, State
from gannet_serving.sources import ConfigFile, Fixed
from gannet_serving.status import StatusError, not_found
from gannet_serving.versions import Version

ALL = VersionPolicy(most=None)
HOUR = 3_600_000_000


class Light:
    """Stands for a loaded model where only the order of events matters."""

    def retire(self) -> None:
        pass

    def close(self) -> None:
        pass


def load(version: Version) -> Any:
    if (version.path / "bad").exists():
        raise not_found("bad")
    return Light()


def version(base_path: Path, number: int, *, bad: bool = False) -> Path:
    path = base_path / str(number)
    path.mkdir(parents=True)
    if bad:
        (path / "bad").touch()
    return path


def manage(config: Models, load: Loader = load, **options: Any) -> ModelManager:
    fast = {"file_system_poll_wait_seconds": 0.01}
    return ModelManager(Fixed(config), ServerOptions(**{**fast, **options}), load=load)


def eventually(condition: Callable[[], bool]) -> None:
    while not condition():
        Event().wait(0.01)


def states(manager: ModelManager, name: str = "gen") -> dict[int, State]:
    return {number: state for number, state, _ in manager.statuses(name)}


def test_events_come_in_order(tmp_path: Path) -> None:
    events: list[tuple[int, State]] = []

    def note() -> None:
        for servable in servables.current():
            if (servable.number, servable.state) not in events:
                events.append((servable.number, servable.state))

    servables = Servables("gen", changed=note)
    model = Model(servables, Loads(load))
    model.configure(ModelConfig("gen", tmp_path))
    version(tmp_path, 1)
    model.sync()
    version(tmp_path, 2)
    model.sync()
    assert events == [
        (1, State.START),
        (1, State.LOADING),
        (1, State.AVAILABLE),
        (2, State.START),
        (2, State.LOADING),
        (2, State.AVAILABLE),
        (1, State.UNLOADING),
        (1, State.END),
    ]


def test_a_version_is_tried_again_as_often_as_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    version(tmp_path, 1, bad=True)
    manager = manage(models({"gen": tmp_path}), max_num_load_retries=2, load_retry_interval_micros=1)
    with caplog.at_level(logging.INFO):
        manager.start()
        assert manager.wait_until_settled(60)
    assert Counter(record.levelname for record in caplog.records) == {"INFO": 3, "WARNING": 2, "ERROR": 1}
    assert manager.failures() == ["{{name: gen version: 1} due to error: NOT_FOUND: bad}, "]
    assert manager.stop(60)


class TestAVersionBetweenTwoTries:
    @pytest.fixture
    def manager(self, tmp_path: Path) -> Any:
        version(tmp_path, 1)
        version(tmp_path, 2, bad=True)
        manager = manage(models({"gen": tmp_path}), load_retry_interval_micros=HOUR)
        manager.start()
        assert manager.wait_until_settled(60)
        assert states(manager) == {2: State.LOADING, 1: State.AVAILABLE}
        yield manager
        assert manager.stop(60)

    def test_shows_no_failure_yet(self, manager: ModelManager) -> None:
        assert manager.statuses("gen")[0] == (2, State.LOADING, None)

    def test_is_given_up_for_a_newer_one(self, manager: ModelManager, tmp_path: Path) -> None:
        version(tmp_path, 3)
        eventually(lambda: states(manager) == {3: State.AVAILABLE, 2: State.END, 1: State.END})
        failure = manager.statuses("gen")[1][2]
        assert str(failure) == "CANCELLED: Loading of servable cancelled"

    def test_is_tried_at_once_when_its_files_change(self, manager: ModelManager, tmp_path: Path) -> None:
        (tmp_path / "2" / "bad").unlink()
        eventually(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})

    def test_does_not_hold_up_the_end(self, manager: ModelManager) -> None:
        assert manager.stop(60)
        assert states(manager) == {2: State.END, 1: State.END}


def test_all_versions_at_once_whatever_one_of_them_does(tmp_path: Path) -> None:
    release = Event()

    def load_at_leisure(version: Version) -> Any:
        if version.path.name == "2":
            release.wait()
        return load(version)

    for number in (1, 2, 4):
        version(tmp_path, number, bad=number == 1)
    config = {"gen": ModelConfig("gen", tmp_path, policy=ALL)}
    manager = manage(config, load_at_leisure, max_num_load_retries=0)
    manager.start()
    assert manager.wait_until_settled(60)
    eventually(lambda: states(manager) == {4: State.AVAILABLE, 2: State.LOADING, 1: State.END})
    version(tmp_path, 3)
    eventually(lambda: states(manager).get(3) is State.AVAILABLE)
    release.set()
    eventually(lambda: states(manager)[2] is State.AVAILABLE)
    assert manager.stop(60)


def test_so_many_versions_load_at_a_time_and_not_more(tmp_path: Path) -> None:
    running, most, lock = 0, 0, Lock()
    both = Event()

    def load_counted(version: Version) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                both.set()
        assert both.wait(60)
        with lock:
            running -= 1
        return Light()

    config = {}
    for name in "abcdef":
        version(tmp_path / name, 1)
        config[name] = ModelConfig(name, tmp_path / name)
    manager = manage(config, load_counted, num_load_threads=2)
    manager.start()
    assert manager.wait_until_settled(60)
    assert most == 2
    assert manager.stop(60)


class TestLookingOnce:
    def test_a_later_version_is_found_by_the_next_configuration(self, tmp_path: Path) -> None:
        version(tmp_path, 1)
        manager = manage(models({"gen": tmp_path}), file_system_poll_wait_seconds=0)
        manager.start()
        assert manager.wait_until_settled(60)
        version(tmp_path, 2)
        manager.reload({**models({"gen": tmp_path}), **models({"more": tmp_path})})
        assert (states(manager), states(manager, "more")) == ({1: State.AVAILABLE}, {2: State.AVAILABLE})
        manager.reload({"gen": ModelConfig("gen", tmp_path, policy=ALL)})
        eventually(lambda: states(manager) == {2: State.AVAILABLE, 1: State.AVAILABLE})
        assert manager.stop(60)

    @pytest.mark.parametrize("base_path", ["missing", "."])
    def test_nothing_is_waited_for(self, base_path: str, tmp_path: Path) -> None:
        manager = manage(models({"gen": tmp_path / base_path}), file_system_poll_wait_seconds=0)
        manager.start()
        assert manager.wait_until_settled(60)
        assert manager.failures() == ["{{name: gen} due to error: it has no versions}, "]
        assert manager.stop(60)


def test_a_reload_that_waits_holds_up_no_other_and_ends_with_its_caller(tmp_path: Path) -> None:
    release = Event()

    def load_at_leisure(version: Version) -> Any:
        if version.model == "slow":
            assert release.wait(60)
        return load(version)

    for name in ("gen", "slow", "quick"):
        version(tmp_path / name, 1)
    manager = manage(models({"gen": tmp_path / "gen"}), load_at_leisure)
    manager.start()
    manager.reload(models({name: tmp_path / name for name in ("gen", "slow")}), is_wanted=lambda: False)
    eventually(lambda: states(manager, "slow") == {1: State.LOADING})
    manager.reload(models({name: tmp_path / name for name in ("gen", "slow", "quick")}))
    assert states(manager, "quick") == {1: State.AVAILABLE}
    release.set()
    eventually(lambda: states(manager, "slow") == {1: State.AVAILABLE})
    assert manager.stop(60)


def test_a_manager_that_ends_takes_no_configuration(tmp_path: Path) -> None:
    manager = manage({})
    manager.start()
    assert manager.stop(60)
    version(tmp_path, 1)
    with pytest.raises(StatusError, match="UNAVAILABLE: the server is stopping"):
        manager.reload(models({"gen": tmp_path}))


def test_a_file_is_read_again_and_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    version(tmp_path / "gen", 1)
    version(tmp_path / "more", 1)
    file = tmp_path / "config"

    def configure(*entries: str) -> None:
        staged = tmp_path / "staged"
        staged.write_text(f"model_config_list {{ {' '.join(f'config {{ {entry} }}' for entry in entries)} }}")
        staged.rename(file)

    gen, more = (
        f'name: "{name}" base_path: "{tmp_path / name}" model_platform: "tensorflow"'
        for name in ("gen", "more")
    )
    configure(gen)
    manager = ModelManager(ConfigFile(file, every=0.01), ServerOptions(), load=load)
    manager.start()
    assert manager.wait_until_settled(60)
    configure(gen, more)
    eventually(lambda: states(manager, "more") == {1: State.AVAILABLE})
    configure(gen, gen)
    eventually(lambda: "Illegal to list model gen multiple times in config list" in caplog.text)
    assert states(manager, "more") == {1: State.AVAILABLE}
    configure(f'{gen} version_labels {{ key: "stable" value: 1 }}')
    eventually(lambda: states(manager, "more") == {1: State.END})
    assert manager.labelled("gen", "stable") == 1
    file.unlink()
    eventually(lambda: "cannot read --model_config_file" in caplog.text)
    assert states(manager) == {1: State.AVAILABLE}
    assert manager.stop(60)
