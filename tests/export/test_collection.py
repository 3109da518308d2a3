"""`gannet models gc`: what may go, and what never does."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client.errors import ModelError
from gannet_export.collection import removable
from tests.conftest import Ended
from tests.export.directories import numbers, write_card, write_version

Call = Callable[..., Ended]


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
    from gannet_serving import config
    from gannet_serving.manager import ModelManager
    from gannet_serving.options import ServerOptions
    from gannet_serving.server import ModelServer
    from gannet_serving.sources import Fixed

    shutil.copy(exported / "saved_model.pb", models / "digits" / "3")
    shutil.copytree(exported / "variables", models / "digits" / "3" / "variables")
    write_card(models / "digits" / "3")
    options = ServerOptions(file_system_poll_wait_seconds=60, max_num_load_retries=0)
    manager = ModelManager(Fixed(config.models({"digits": models / "digits"})), options)
    manager.start()
    assert manager.wait_until_settled(60)
    server = ModelServer(manager)
    server.start()
    yield server.address
    server.stop(grace=0)
    assert manager.stop(60)


def test_what_a_server_has_in_service_stays(gannet_models: Call, models: Path, server: str) -> None:
    ended = gannet_models("gc", models, "--keep", 1, "--server", server, "--json")
    assert (ended.code, ended.stderr) == (0, "")
    assert numbers(models) == [2, 3, 5]


def test_a_model_that_the_server_does_not_know_keeps_its_versions(
    gannet_models: Call, models: Path, server: str
) -> None:
    shutil.copytree(models / "digits", models / "renamed")
    (models / "renamed" / ".staging-abandoned").mkdir()
    arguments = ("gc", models, "--keep", 1, "--server", server)
    code, stdout, stderr = gannet_models(*arguments)
    assert code == 4
    assert stdout == (
        "digits/1 was removed, 244 B\ndigits/4 was removed, 244 B\nrenamed/.staging-abandoned was swept\n"
    )
    assert stderr == (
        f"gannet: {server} does not know a model 'renamed', so that no version of it is removed; check the "
        "address, pass --server-name if it is served under another name, or leave --server out\n"
    )
    assert (numbers(models), numbers(models, "renamed")) == ([2, 3, 5], [1, 2, 3, 4, 5])
    told = json.loads(gannet_models(*arguments, "--json").stdout)
    assert (told["removed"], [f"gannet: {line}\n" for line in told["stopped"]]) == ([], [stderr])


def test_a_model_may_have_another_name_on_the_server(gannet_models: Call, models: Path, server: str) -> None:
    (models / "digits").rename(models / "renamed")
    arguments = ("gc", models, "renamed", "--keep", 1, "--server", server, "--server-name", "digits")
    assert gannet_models(*arguments).code == 0
    assert numbers(models, "renamed") == [2, 3, 5]


@pytest.mark.parametrize("others", [("--server", "127.0.0.1:1"), ("digits",)], ids=["all", "nobody"])
def test_the_name_on_the_server_is_for_one_model(
    gannet_models: Call, models: Path, others: tuple[str, ...]
) -> None:
    ended = gannet_models("gc", models, *others, "--server-name", "digits")
    assert ended == (
        2,
        "",
        "gannet models: --server-name is for one model and a server: pass NAME and --server HOST:PORT, too\n",
    )


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
