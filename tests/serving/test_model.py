"""A model follows its directory: what is loaded, what goes on serving, what is reported."""

import gc
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_serving.config import ModelConfig, VersionPolicy
from gannet_serving.engine import load_model, loader
from gannet_serving.loaded import Loader
from gannet_serving.loads import Loads
from gannet_serving.model import Model
from gannet_serving.options import ServerOptions
from gannet_serving.servables import Servables, State
from gannet_serving.status import StatusError, not_found
from gannet_serving.versions import Version

NOISE = np.ones((1, 4), np.float32)
LATEST = VersionPolicy()
OPTIONS = ServerOptions()


def followed(base_path: Path, load: Loader, policy: VersionPolicy = LATEST) -> Model:
    """A model that loads and unloads within `sync`."""
    model = Model(Servables("gen"), Loads(load))
    model.configure(ModelConfig("gen", base_path, policy=policy))
    return model


@pytest.fixture
def base_path(tmp_path: Path) -> Path:
    return tmp_path / "gen"


@pytest.fixture
def model(saved_models: Any, base_path: Path) -> Model:
    """Model `gen` with version 1 loaded."""
    base_path.mkdir()
    saved_models.write_gen(base_path / "1", offset=1)
    model = followed(base_path, loader(OPTIONS))
    assert model.sync()
    return model


def answer(model: Model, number: int | None = None) -> tuple[int, float]:
    """The version that answers, and the first grey value of its answer."""
    with model.servables.lease(number) as (version, session):
        signature = session.signatures["generate"]
        [images] = session.run({signature.inputs["noise"].name: NOISE}, [signature.outputs["images"].name])
        return version, images.flat[0]


def states(model: Model) -> dict[int, State]:
    return {number: state for number, state, _ in model.servables.statuses()}


def break_files(version: Path) -> Path:
    (version / "saved_model.pb").write_bytes(b"junk" * 100)
    return version


def test_a_new_version_takes_over(model: Model, saved_models: Any, base_path: Path) -> None:
    saved_models.write_gen(base_path / "2", offset=2)
    model.sync()
    assert answer(model) == (2, pytest.approx(saved_models.images(NOISE, 2).flat[0]))
    assert states(model) == {2: State.AVAILABLE, 1: State.END}
    with pytest.raises(StatusError, match=r"NOT_FOUND: Servable not found for request: Specific\(gen, 1\)"):
        answer(model, 1)


def test_versions_are_told_from_the_highest_down(model: Model, saved_models: Any, base_path: Path) -> None:
    for number in (10, 9):
        saved_models.write_gen(base_path / str(number))
        model.sync()
    shutil.rmtree(base_path / "10")
    model.sync()
    assert [number for number, _, _ in model.servables.statuses()] == [10, 9, 1]


def test_the_old_version_serves_until_the_new_one_is_available(saved_models: Any, tmp_path: Path) -> None:
    loading, go_on = Event(), Event()

    def load_at_leisure(version: Version) -> Any:
        if version.number == 2:
            loading.set()
            assert go_on.wait(60)
        return load_model(version.path)

    saved_models.write_gen(tmp_path / "1")
    model = followed(tmp_path, load_at_leisure)
    model.sync()
    saved_models.write_gen(tmp_path / "2")
    with ThreadPoolExecutor(1) as pool:
        syncing = pool.submit(model.sync)
        assert loading.wait(60)
        assert states(model) == {2: State.LOADING, 1: State.AVAILABLE}
        assert answer(model)[0] == 1
        go_on.set()
        syncing.result()
    assert answer(model)[0] == 2


def test_a_version_is_released_after_its_last_request(
    model: Model, saved_models: Any, base_path: Path
) -> None:
    saved_models.write_gen(base_path / "2")
    with model.servables.lease(None) as (first, session):
        model.sync()
        assert answer(model)[0] == 2
        assert states(model) == {2: State.AVAILABLE, 1: State.UNLOADING}
        signature = session.signatures["generate"]
        assert session.run({signature.inputs["noise"].name: NOISE}, [signature.outputs["images"].name])
    assert first == 1
    assert states(model) == {2: State.AVAILABLE, 1: State.END}


class TestACorruptVersion:
    def test_that_comes_later_changes_nothing(self, model: Model, saved_models: Any, base_path: Path) -> None:
        break_files(saved_models.write_gen(base_path / "2"))
        model.sync()
        assert answer(model)[0] == 1
        [(_, state, failure), (_, other_state, _)] = model.servables.statuses()
        assert (state, other_state) == (State.END, State.AVAILABLE)
        assert failure is not None
        assert (failure.code.name, failure.message) == ("OUT_OF_RANGE", "Read less bytes than requested")

    def test_that_is_there_first_gives_way(self, saved_models: Any, tmp_path: Path) -> None:
        saved_models.write_gen(tmp_path / "1")
        break_files(saved_models.write_gen(tmp_path / "2"))
        model = followed(tmp_path, loader(OPTIONS))
        model.sync()
        assert answer(model)[0] == 1
        assert states(model) == {2: State.END, 1: State.AVAILABLE}

    def test_is_tried_again_only_when_its_files_change(
        self, model: Model, saved_models: Any, base_path: Path
    ) -> None:
        broken = break_files(saved_models.write_gen(base_path / "2"))
        model.sync()
        [(_, _, failure), _] = model.servables.statuses()
        model.sync()
        assert model.servables.statuses()[0][2] is failure
        shutil.copy(base_path / "1" / "saved_model.pb", broken)
        model.sync()
        assert answer(model)[0] == 2
        assert states(model) == {2: State.AVAILABLE, 1: State.END}

    def test_keeps_no_memory(self, model: Model, saved_models: Any, base_path: Path) -> None:
        def live_graphs() -> int:
            gc.collect()
            return sum(type(item).__name__ == "Graph" for item in gc.get_objects())

        def fail_to_load(number: int) -> None:
            version = saved_models.write_gen(base_path / str(number))
            (version / "variables" / "variables.index").write_bytes(b"x" * 50)
            model.sync()
            assert states(model)[number] is State.END

        fail_to_load(2)  # the first time, TensorFlow makes a default graph, which stays
        before = live_graphs()
        fail_to_load(3)
        assert live_graphs() == before

    def test_is_reported_whatever_goes_wrong(self, tmp_path: Path) -> None:
        def no_memory(version: Version) -> Any:
            raise MemoryError("no room")

        (tmp_path / "1").mkdir()
        model = followed(tmp_path, no_memory)
        model.sync()
        [(_, state, failure)] = model.servables.statuses()
        assert (state, str(failure)) == (State.END, "UNKNOWN: MemoryError: no room")


class TestADeletedVersion:
    def test_gives_way_to_the_one_below(self, model: Model, saved_models: Any, base_path: Path) -> None:
        saved_models.write_gen(base_path / "2")
        model.sync()
        shutil.rmtree(base_path / "2")
        model.sync()
        assert answer(model)[0] == 1
        assert states(model) == {2: State.END, 1: State.AVAILABLE}

    def test_is_unloaded_if_it_was_the_last(self, model: Model, base_path: Path) -> None:
        shutil.rmtree(base_path / "1")
        assert not model.sync()
        assert model.servables.statuses() == [(1, State.END, None)]
        with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(gen\)"):
            answer(model)

    def test_may_come_back(self, model: Model, base_path: Path) -> None:
        kept = base_path.parent / "kept"
        (base_path / "1").rename(kept)
        model.sync()
        kept.rename(base_path / "1")
        model.sync()
        assert answer(model)[0] == 1

    def test_may_come_back_while_a_request_holds_it(self, model: Model, base_path: Path) -> None:
        kept = base_path.parent / "kept"
        with model.servables.lease(1):
            (base_path / "1").rename(kept)
            model.sync()
            kept.rename(base_path / "1")
            model.sync()
            assert states(model) == {1: State.AVAILABLE}
        assert answer(model)[0] == 1

    def test_goes_on_serving_if_the_whole_directory_went(self, model: Model, base_path: Path) -> None:
        shutil.rmtree(base_path)
        with pytest.raises(FileNotFoundError):
            model.sync()
        assert answer(model)[0] == 1


class Light:
    """Stands for a loaded model where a test needs thousands."""

    def __init__(self) -> None:
        self.open = True

    def retire(self) -> None:
        pass

    def close(self) -> None:
        assert self.open
        self.open = False


def light_loader(sessions: list[Light]) -> Loader:
    """Loads any directory without a file `bad`, and remembers what it loaded."""

    def load(version: Version) -> Any:
        if (version.path / "bad").exists():
            raise not_found("bad")
        sessions.append(Light())
        return sessions[-1]

    return load


def act(base_path: Path, action: str, number: int) -> None:
    version = base_path / str(number)
    if action == "delete":
        shutil.rmtree(version, ignore_errors=True)
        return
    version.mkdir(exist_ok=True)
    if action == "spoil":
        (version / "bad").touch()
    else:
        (version / "bad").unlink(missing_ok=True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["publish", "spoil", "delete"]), st.integers(1, 4)), max_size=30))
def test_whatever_happens_on_disk(actions: list[tuple[str, int]]) -> None:
    """The highest good version serves, alone in memory; only an empty directory ends that."""
    sessions: list[Light] = []
    with TemporaryDirectory() as directory:
        base_path = Path(directory)
        model = followed(base_path, light_loader(sessions))
        serving: int | None = None
        for action, number in actions:
            if action == "spoil" and number == serving:
                continue  # what is in memory is not read again
            act(base_path, action, number)
            found = {int(path.name): not (path / "bad").exists() for path in base_path.iterdir()}
            good = [version for version, is_good in found.items() if is_good]
            serving = max(good) if good else serving if found else None
            model.sync()
            available = [version for version, state in states(model).items() if state is State.AVAILABLE]
            assert available == ([] if serving is None else [serving])
            assert sum(session.open for session in sessions) == len(available)


def test_no_request_ever_meets_a_closed_model(tmp_path: Path) -> None:
    model = followed(tmp_path, light_loader([]))
    act(tmp_path, "publish", 1)
    model.sync()
    begun, stop = Barrier(9), Event()

    def lease() -> None:
        with model.servables.lease(None) as (_, session):
            assert session.open
            assert session.open

    def call() -> None:
        lease()
        begun.wait(60)
        while not stop.is_set():
            lease()

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(call) for _ in range(8)]
        begun.wait(60)
        for number in range(2, 60):
            act(tmp_path, "publish", number)
            model.sync()
            act(tmp_path, "delete", number - 1)
        stop.set()
        for caller in callers:
            caller.result()
