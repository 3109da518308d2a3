"""`gannet status`, `ready`, `show` and `interpolate` against servers."""

import io
import json
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gannet_client import Client
from gannet_client.record import Record
from gannet_serving import LocalServer
from gannet_serving.engine import import_tensorflow
from tests.client import served

LOADING, AVAILABLE, END = 20, 30, 50
QUOTED = 'Zoë\'s "größe"; $HOME 画像'


@pytest.fixture
def call(gannet: Any, target: str) -> Any:
    """A command about the model `digits` of the fake server."""
    return lambda name, *arguments: gannet(name, "--server", target, "--model", "digits", *arguments)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with `plain`, and `full` and `QUOTED`, which take every condition."""
    import_tensorflow()
    models = tmp_path_factory.mktemp("models")
    served.write_version(models / "plain" / "1")
    served.write_version(models / "full" / "1", conditional=True)
    served.write_version(models / QUOTED / "7", conditional=True, classes=["1", "2", "0"])
    with LocalServer(models) as server:
        yield server.target


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


# gannet status.


def test_status_shows_what_is_in_service_or_broken(call: Any, fake: Any, target: str) -> None:
    fake.states = {1: END, 2: END, 3: AVAILABLE, 4: LOADING}
    fake.errors = {2: (13, "a file\nis damaged \x1b[2J")}
    broken = r"digits, version 2 END (INTERNAL: a file is damaged \x1b[2J)"
    shown = ["digits, version 4 LOADING", "digits, version 3 AVAILABLE", broken]
    assert call("status") == (0, "\n".join(shown) + "\n", "")
    assert call("status", "--all")[1].splitlines() == [*shown, "digits, version 1 END"]
    servers = json.loads(call("status", "--json")[1])["servers"]
    assert [state["version"] for state in servers[target]] == [4, 3, 2]
    assert servers[target][1] == {"version": 3, "state": "AVAILABLE", "code": "OK", "message": ""}


@pytest.mark.parametrize("command", ["status", "ready"])
def test_no_server_is_no_answer(gannet: Any, monkeypatch: Any, command: str) -> None:
    monkeypatch.setenv("GANNET_SERVER", " ")
    code, out, err = gannet(command, "--model", "digits")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "at least one server" in err


def test_status_asks_every_server(gannet: Any, target: str, fake: Any, start: Any) -> None:
    other = f"127.0.0.1:{start(fake).port}"
    code, out, _ = gannet("status", "--server", target, "--server", other, "--model", "digits")
    line = "digits, version 1 AVAILABLE"
    assert (code, out.splitlines()) == (0, [target, line, other, line])


@pytest.mark.parametrize("dead_first", [True, False])
def test_a_dead_server_hides_no_living_one(
    gannet: Any, target: str, fake: Any, free_port: int, dead_first: bool
) -> None:
    dead = f"127.0.0.1:{free_port}"
    servers = [dead, target] if dead_first else [target, dead]
    options = ["--model", "digits", *(word for server in servers for word in ("--server", server))]
    code, out, err = gannet("status", *options)
    assert (code, out) == (3, f"{target}\ndigits, version 1 AVAILABLE\n")
    assert err.startswith(f"gannet: model 'digits' at {dead}: ") and err.count("\n") == 1
    code, out, _ = gannet("status", *options, "--json")
    assert (code, list(json.loads(out)["servers"])) == (3, [target])
    fake.states = {}
    code, out, err = gannet("status", *options)
    assert (code, out, err.count("\n")) == (4, "", 2)


def test_a_status_that_is_not_told_has_its_exit_code(gannet: Any, target: str, free_port: int) -> None:
    assert gannet("status", "--server", target, "--model", "nope").code == 4
    assert gannet("status", "--server", f"127.0.0.1:{free_port}", "--model", "digits").code == 3


# gannet ready.


def test_ready_is_one_line(call: Any, fake: Any, target: str) -> None:
    fake.states = {1: AVAILABLE, 2: AVAILABLE, 3: LOADING}
    assert call("ready") == (0, f"model 'digits' version 2 at {target} is ready\n", "")
    assert call("ready", "--version", "1") == (0, f"model 'digits' version 1 at {target} is ready\n", "")
    code, out, err = call("ready", "--version", "3")
    assert (code, out) == (4, "")
    assert "expected version 3 to be AVAILABLE; found version 3 LOADING, version 2" in err
    assert err.count("\n") == 1


def test_what_is_not_ready_has_its_exit_code(
    gannet: Any, call: Any, fake: Any, free_port: int, target: str
) -> None:
    fake.states = {1: LOADING}
    assert call("ready").code == 4
    here, nowhere = ("--server", target), ("--server", f"127.0.0.1:{free_port}")
    assert gannet("ready", *nowhere, "--model", "digits").code == 3
    assert gannet("ready", *here, "--model", "nope").code == 4
    fake.states = {1: AVAILABLE}
    assert gannet("ready", *here, *nowhere, "--model", "digits").code == 3
    fake.release.clear()
    assert call("ready", "--timeout", "0.2").code == 124


@pytest.mark.parametrize("wait", ["nan", "inf", "-1"])
def test_ready_waits_for_some_seconds_alone(call: Any, wait: str) -> None:
    code, out, err = call("ready", "--wait", wait)
    assert (code, out) == (2, "") and "--wait must be a positive number of seconds" in err


@pytest.mark.parametrize("late", ["loading", "away"])
def test_ready_waits(gannet: Any, fake: Any, start: Any, free_port: int, late: str) -> None:
    def appear() -> None:
        if late == "away":
            start(fake, free_port)
        fake.states = {1: AVAILABLE}

    fake.states = {1: LOADING}
    if late == "loading":
        start(fake, free_port)
    timer = threading.Timer(0.5, appear)
    timer.start()
    options = ["--server", f"127.0.0.1:{free_port}", "--model", "digits"]
    assert gannet("ready", *options, "--wait", "60").code == 0
    timer.join()
    fake.states = {1: LOADING}
    assert gannet("ready", *options, "--wait", "0.3").code == 4
    assert gannet("ready", *options, "--server", "nonsense", "--wait", "600").code == 2


# gannet show.


def test_show_prints_the_record(gannet: Any, real: str, tmp_path: Path) -> None:
    with Client(real, model="full") as client:
        (path,) = client.generate(1, seed=8, classes="dog", truncation=0.7, codes=[np.nan, -1]).save(tmp_path)
    code, out, _ = gannet("show", path)
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (code, told["model"], told["version"], told["truncation"]) == (0, "full", "1", "0.7")
    assert (told["class"], told["codes"]) == ("1", "[null, -1.0]")
    assert told["again"] == json.loads(gannet("show", path, "--json")[1])["command"]


@pytest.mark.parametrize(
    ("model", "seed", "chosen"),
    [
        ("plain", -3, {}),
        ("plain", -(2**63), {"version": 1}),
        ("full", 2**63 - 1, {}),
        ("full", 0, {"classes": "owl"}),
        ("full", 1, {"truncation": 0.7}),
        ("full", 1, {"truncation": 0.0}),
        ("full", -1, {"codes": [-0.3, np.nan]}),
        ("full", 2, {"format": "float", "classes": 1, "codes": [1e-5, 0.1]}),
        (QUOTED, 5, {"classes": "2", "truncation": 1e-9, "format": "png"}),
        (QUOTED, 5, {"classes": 2, "codes": [0, 1]}),
        (QUOTED, 5, {"classes": -1}),
    ],
)
def test_the_command_that_is_shown_draws_the_image_again(
    gannet: Any, real: str, tmp_path: Path, monkeypatch: Any, model: str, seed: int, chosen: Any
) -> None:
    with Client(real, model=model) as client:
        (path,) = client.generate(1, seed=seed, **chosen).save(tmp_path / "first")
    command = gannet("show", path)[1].splitlines()[-1].removeprefix("again").strip()
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    monkeypatch.setenv("GANNET_SERVER", real)
    assert gannet(*shlex.split(command)[1:]).code == 0
    again = tmp_path / "again" / path.name
    assert Record.of_file(again) == Record.of_file(path)
    assert np.array_equal(pixels(again), pixels(path))


@pytest.mark.parametrize(
    ("model", "given", "told_of"),
    [
        ("unit", (0, 1), [0.0, 1.0]),
        ("float", (-1, 2.5), [-1.0, 2.5]),
        ("float", (-1, 1), None),
        ("bytes", (-1, 1), [0.0, 255.0]),
    ],
)
def test_an_image_of_another_value_range_is_drawn_again(
    gannet: Any, real_target: str, tmp_path: Path, monkeypatch: Any, model: str, given: Any, told_of: Any
) -> None:
    with Client(real_target, model=model, value_range=given) as client:
        drawn = client.generate(1, seed=3)
    (path,) = drawn.save(tmp_path / "first")
    told = json.loads(gannet("show", path, "--json")[1])
    assert told.get("value_range") == told_of
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANNET_SERVER", real_target)
    assert gannet(*shlex.split(told["command"])[1:]).code == 0
    assert np.array_equal(pixels(tmp_path / path.name), drawn.array[0])
    options = ["--model", model, f"--value-range={given[0]},{given[1]}", "--seeds", "3,4", "--steps", "2"]
    assert gannet("interpolate", *options, "--out", "strip.png").code == 0
    first = pixels(tmp_path / "strip.png")[2:-2, 2:7].astype(int)
    assert np.abs(first - drawn.array[0]).max() <= 1


@pytest.mark.parametrize(("given", "message"), [("0", "two numbers that rise"), ("a,b", "a form like 0,1")])
def test_a_value_range_that_is_none(
    gannet: Any, real_target: str, tmp_path: Path, given: str, message: str
) -> None:
    options = ["--server", real_target, "--model", "unit", "--seeds", "3", "--out", tmp_path]
    code, out, err = gannet("generate", *options, "--value-range", given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err and list(tmp_path.iterdir()) == []


def test_show_of_an_image_of_noise_and_of_no_image(gannet: Any, real: str, tmp_path: Path) -> None:
    with Client(real, model="plain") as client:
        (path,) = client.generate(noise=np.zeros((1, served.LATENT_DIM))).save(tmp_path)
    assert (
        gannet("show", path)[1].splitlines()[-1] == "again        not without the noise that its caller sent"
    )
    assert json.loads(gannet("show", path, "--json")[1])["command"] is None
    (tmp_path / "text.png").write_text("text")
    code, out, err = gannet("show", tmp_path / "text.png")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert gannet("show", tmp_path / "nothing.png").code == 2


# gannet interpolate.


def test_a_strip_goes_from_image_to_image(gannet: Any, real: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "strip.png"
    options = ["--server", real, "--model", "plain", "--seeds", "3,14,15", "--steps", "4", "--out", path]
    assert gannet("interpolate", *options) == (0, f"plain, version 1: 7 images\nwrote {path}\n", "")
    height, width, _ = served.IMAGE
    strip = pixels(path).astype(int)
    assert strip.shape == (height + 4, 7 * (width + 2) + 2, 3)
    with Client(real, model="plain") as client:
        ends = client.generate(seeds=[3, 14, 15]).array
    for place, image in zip((0, 3, 6), ends, strict=True):
        left = 2 + place * (width + 2)
        assert np.abs(strip[2:-2, left : left + width] - image).max() <= 1


def test_an_animation_has_every_image(gannet: Any, real: str, tmp_path: Path) -> None:
    path = tmp_path / "way.gif"
    options = ["--server", real, "--model", "full", "--seeds", "3,14", "--steps", "5", "--out", path]
    options += ["--class", "cat", "--codes", "0,0", "--how", "lerp", "--duration", "50", "--json"]
    code, out, _ = gannet("interpolate", *options)
    assert code == 0
    assert json.loads(out) == {
        "model": "full",
        "version": 1,
        "seeds": [3, 14],
        "images": 5,
        "file": str(path),
    }
    with Image.open(io.BytesIO(path.read_bytes())) as animation:
        assert (animation.n_frames, animation.info["duration"]) == (5, 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "3", "--out", "a.png"], "at least two images"),
        (["--seeds", "3,4", "--out", "a.jpg"], "ends in .png or .gif"),
        (["--seeds", "3,4", "--out", "a.png", "--steps", "1"], "at least 2 steps"),
        (["--seeds", "3,4", "--out", "a.png", "--class", "cat"], "has no classes"),
        (["--seeds", "3,4", "--out", "/dev/null/a.png"], "cannot write the image"),
    ],
)
def test_a_way_that_cannot_be_gone(
    gannet: Any, real: str, tmp_path: Path, monkeypatch: Any, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = gannet("interpolate", "--server", real, "--model", "plain", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []
