"""`gannet generate` against a server: what it writes, what it leaves alone, how it fails."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gannet_client.codec import decode
from gannet_client.record import Record


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def generate(gannet: Any, target: str) -> Any:
    """`gannet generate` of the model `digits` with further arguments."""
    return lambda *arguments: gannet("generate", "--server", target, "--model", "digits", *arguments)


@pytest.fixture
def asked(fake: Any) -> Any:
    """The seeds that were asked for, sorted; forgotten when they are read."""

    def read() -> list[int]:
        requests, fake.requests = fake.requests, []
        drawing = [one for one in requests if getattr(one, "inputs", None) and "seeds" in one.inputs]
        return sorted(seed for one in drawing for seed in decode(one.inputs["seeds"]).tolist())

    return read


# What it writes.


def test_one_file_per_seed_and_a_grid(gannet: Any, target: str, drawn: Any, tmp_path: Path) -> None:
    out, grid = tmp_path / "new" / "out", tmp_path / "grid.png"
    options = ["--server", target, "--model", "digits", "--seeds", "0-2,7,-1", "--out", out, "--grid", grid]
    assert gannet("generate", *options) == (
        0,
        f"digits, version 1: 5 images of 5x6\nwrote 5 files to {out}\nwrote {grid}\n",
        "",
    )
    for seed, name in ((0, "seed0000.png"), (7, "seed0007.png"), (-1, "seed-0001.png")):
        assert np.array_equal(pixels(out / name), drawn([seed], 1)[0])
    assert len(list(out.iterdir())) == 5
    assert pixels(grid).shape == (2 * 8 + 2, 3 * 7 + 2, 3)


def test_json_for_programs(gannet: Any, target: str, tmp_path: Path) -> None:
    options = ["--server", target, "--model", "digits", "--seeds", "3-4", "--out", tmp_path, "--json"]
    code, out, err = gannet("generate", *options)
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "model": "digits",
        "version": 1,
        "seeds": [3, 4],
        "classes": None,
        "shape": [2, 6, 5, 3],
        "kept": 0,
        "files": [str(tmp_path / "seed0003.png"), str(tmp_path / "seed0004.png")],
        "grid": None,
    }


def test_server_and_model_may_stand_in_the_environment(
    gannet: Any, target: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("GANNET_SERVER", target)
    monkeypatch.setenv("GANNET_MODEL", "digits")
    assert gannet("generate", "--seeds", "1", "--out", tmp_path)[0] == 0
    assert (tmp_path / "seed0001.png").exists()


@pytest.mark.parametrize(
    ("choice", "version"), [(["--version", "1"], 1), (["--version-label", "stable"], 1), ([], 2)]
)
def test_the_version_that_answered_is_told(
    gannet: Any, target: str, fake: Any, tmp_path: Path, choice: list[str], version: int
) -> None:
    fake.states = {1: 30, 2: 30}
    options = ["--server", target, "--model", "digits", "--seeds", "1", "--grid", tmp_path / "grid.png"]
    assert f"digits, version {version}: 1 images" in gannet("generate", *options, *choice)[1]


def test_one_file_of_all_arrays(generate: Any, fake: Any, drawn_of_classes: Any, tmp_path: Path) -> None:
    fake.classes = {1: ["cat", "dog"]}
    fake.card["weights_sha256"] = "ab"
    path, grid = tmp_path / "new" / "images.NPZ", tmp_path / "grid.png"
    code, out, _ = generate("--seeds", "0-99", "--class", "dog", "--out", path, "--grid", grid)
    assert (code, out) == (0, f"digits, version 1: 100 images of 5x6\nwrote {path}\nwrote {grid}\n")
    with np.load(path) as arrays:
        found = dict(arrays)
    assert np.array_equal(found.pop("images"), drawn_of_classes(np.arange(100), np.ones(100), 1))
    assert found.pop("seeds").tolist() == list(range(100))
    assert found.pop("classes").tolist() == [1] * 100
    assert {name: array.item() for name, array in found.items()} == {
        "model": "digits",
        "version": 1,
        "weights": "ab",
    }
    assert pixels(grid).shape == (10 * 8 + 2, 10 * 7 + 2, 3)


def test_an_array_file_tells_of_version_0(generate: Any, fake: Any, tmp_path: Path) -> None:
    fake.states = {0: 30}
    assert generate("--seeds", "1", "--out", tmp_path / "images.npz")[0] == 0
    with np.load(tmp_path / "images.npz") as arrays:
        assert (arrays["version"].item(), arrays["weights"].item()) == (0, "")


def test_an_array_file_that_fails_leaves_none(generate: Any, fake: Any, drawn: Any, tmp_path: Path) -> None:
    def fail_at_last(seeds: Any, version: int) -> np.ndarray:
        return drawn(seeds, version)[: -1 if 99 in seeds else None]

    fake.pixels = fail_at_last
    code, out, err = generate("--seeds", "0-99", "--out", tmp_path / "images.npz")
    assert (code, out) == (4, "")
    assert "expected the output 'pixels'" in err
    assert list(tmp_path.iterdir()) == []


def test_shards_are_the_whole_and_no_image_twice(generate: Any, tmp_path: Path) -> None:
    drawn = []
    for part in (1, 2, 3):
        code, out, _ = generate("--seeds", "10-20", "--shard", f"{part}/3", "--out", tmp_path, "--json")
        assert code == 0
        drawn += [json.loads(out)["seeds"]]
    assert sorted(seed for part in drawn for seed in part) == list(range(10, 21))
    assert sorted(map(len, drawn)) == [3, 4, 4]
    assert len(list(tmp_path.iterdir())) == 11


def test_a_shard_takes_its_images_classes_and_may_be_empty(
    generate: Any, fake: Any, drawn_of_classes: Any, tmp_path: Path
) -> None:
    fake.classes = {1: ["cat", "dog"]}
    options = ["--seeds", "4,5", "--class", "dog", "--class", "cat", "--out", tmp_path, "--shard"]
    assert generate(*options, "2/3")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["seed0005-class0.png"]
    assert np.array_equal(pixels(tmp_path / "seed0005-class0.png"), drawn_of_classes([5], [0], 1)[0])
    assert generate(*options, "3/3")[1] == (
        f"digits, version 1: 0 images of 5x6\nwrote 0 files to {tmp_path}\n"
    )


def test_progress_is_shown_on_a_terminal_alone(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from gannet_client.cli import main; main()", "generate"]
    command += ["--server", target, "--model", "digits", "--seeds", "0-3", "--out", str(tmp_path)]
    ours, theirs = os.openpty()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True)
    os.close(theirs)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert b"100%" in shown
    assert done.stdout.startswith(b"digits, version 1: 4 images")
    quiet = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert quiet.stderr == b""


def test_a_path_that_stdout_cannot_show_is_escaped(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from gannet_client.cli import main; main()", "generate"]
    command += ["--server", target, "--model", "digits", "--seeds", "1", "--out", str(tmp_path / "画像")]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(rb"/\u753b\u50cf" + b"\n")
    assert (tmp_path / "画像" / "seed0001.png").exists()


# What it leaves alone.


def test_what_is_there_is_not_drawn_again(generate: Any, asked: Any, drawn: Any, tmp_path: Path) -> None:
    out, grid = tmp_path / "out", tmp_path / "grid.png"
    assert generate("--seeds", "0-5", "--out", out)[0] == 0
    assert asked() == [0, 1, 2, 3, 4, 5]
    kept = (out / "seed0003.png").stat().st_mtime_ns
    (out / "seed0001.png").unlink()
    (out / "seed0002.png").write_bytes((out / "seed0003.png").read_bytes())
    (out / "seed0004.png").write_bytes(b"")
    os.truncate(out / "seed0005.png", (out / "seed0005.png").stat().st_size - 1)
    code, told, _ = generate("--seeds", "0-6", "--out", out, "--grid", grid)
    assert (code, told) == (
        0,
        f"digits, version 1: 7 images of 5x6\nwrote 5 files to {out}; 2 were there\nwrote {grid}\n",
    )
    assert asked() == [0, 1, 2, 4, 5, 6]  # the first one tells which version draws
    assert (out / "seed0003.png").stat().st_mtime_ns == kept
    for seed in range(7):
        assert np.array_equal(pixels(out / f"seed{seed:04d}.png"), drawn([seed], 1)[0])
    assert np.array_equal(pixels(grid)[10:16, 2:7], drawn([3], 1)[0])
    assert json.loads(generate("--seeds", "0-6", "--out", out, "--json")[1])["kept"] == 7


def test_a_seed_may_be_named_twice(generate: Any, tmp_path: Path) -> None:
    options = ["--seeds", "5,5,6", "--out", tmp_path]
    wrote = [generate(*options)[1].splitlines()[1] for _ in range(2)]
    assert wrote == [f"wrote 2 files to {tmp_path}", f"wrote 0 files to {tmp_path}; 2 were there"]
    (tmp_path / "seed0005.png").unlink()
    told = json.loads(generate(*options, "--json")[1])
    assert (told["kept"], len(told["files"])) == (1, 3)


def test_another_version_draws_all_anew(generate: Any, fake: Any, asked: Any, tmp_path: Path) -> None:
    generate("--seeds", "0-2", "--out", tmp_path)
    fake.states = {1: 30, 2: 30}
    asked()
    assert "3 files" in generate("--seeds", "0-2", "--out", tmp_path)[1]
    assert asked() == [0, 0, 1, 2]
    assert {Record.of_file(path).version for path in tmp_path.iterdir()} == {2}
    assert "0 files" in generate("--seeds", "0-2", "--out", tmp_path, "--version", "2")[1]


def test_classes_of_each_image_are_told_apart(generate: Any, fake: Any, asked: Any, tmp_path: Path) -> None:
    fake.classes = {1: ["cat", "dog"]}
    options = ["--seeds", "5,5,6", "--class", "cat", "--class", "dog", "--class", "-1", "--out", tmp_path]
    generate(*options)
    (tmp_path / "seed0005-class1.png").unlink()
    asked()
    assert "wrote 1 files" in generate(*options)[1]
    assert asked() == [5, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "seed0005-class0.png",
        "seed0005-class1.png",
        "seed0006.png",
    ]


@pytest.mark.parametrize(
    ("sent", "code", "told"),
    [
        (signal.SIGKILL, -9, b""),
        (signal.SIGINT, 130, b"\r\ngannet: not complete; the same command goes on in "),
    ],
)
def test_a_run_that_ends_early_goes_on_where_it_was(
    sent: int,
    code: int,
    told: bytes,
    generate: Any,
    target: str,
    fake: Any,
    asked: Any,
    drawn: Any,
    tmp_path: Path,
) -> None:
    go_on = threading.Event()

    def stall(seeds: Any, version: int) -> np.ndarray:
        if 150 in seeds:
            go_on.wait(60)
        return drawn(seeds, version)

    fake.pixels = stall
    command = [sys.executable, "-c", "from gannet_client.cli import main; main()", "generate"]
    command += ["--server", target, "--model", "digits", "--seeds", "0-199", "--out", str(tmp_path)]
    ours, theirs = os.openpty()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        while not (tmp_path / "seed0127.png").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(sent)
        assert process.wait(timeout=60) == code
    os.close(theirs)
    assert told in os.read(ours, 1 << 16)
    os.close(ours)
    go_on.set()
    asked()
    code, out, _ = generate("--seeds", "0-199", "--out", tmp_path, "--json")
    assert (code, json.loads(out)["kept"]) == (0, 128)
    assert asked() == [0, *range(128, 200)]
    for path, image in zip(sorted(tmp_path.glob("seed*")), drawn(range(200), 1), strict=True):
        assert np.array_equal(pixels(path), image)


# How it fails.


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "digits", "--seeds", "1"], 2, "nothing to write: pass --out DIR, --grid FILE or both"),
        (["--model", "digits", "--seeds", "x", "--out", "."], 2, "seeds 'x' cannot be read"),
        (["--model", "digits", "--out", "."], 2, "gannet: Missing option '--seeds'; see 'gannet generate"),
        (["--seeds", "1", "--out", "."], 2, "gannet: Missing option '--model'"),
        (["--seeds", "1", "--out", ".", "--model", "\udcff"], 2, "model must be text"),
        (
            ["--model", "m", "--seeds", "1", "--out", ".", "--version-label", "\udcff"],
            2,
            "version_label must be",
        ),
        (["--model", "m", "--seeds", "1", "--out", ".", "--server", "\udcff:1"], 2, "form HOST:PORT"),
        (["--model", "m", "--seeds", "1", "--out", ".", "--server", "a:1\n"], 2, "form HOST:PORT"),
        (["--model", "nope", "--seeds", "1", "--out", "."], 4, "gannet: model 'nope'"),
        (["--model", "digits", "--seeds", "1", "--out", ".", "--version", "9"], 4, "Specific(digits, 9)"),
        (
            ["--model", "digits", "--seeds", "1", "--out", ".", "--version-label", "x"],
            4,
            "no such version label",
        ),
        (["--model", "digits", "--seeds", "1", "--out", "/dev/null/x"], 2, "cannot write the image"),
        (["--model", "digits", "--seeds", "1", "--out", "/dev/null"], 2, "'/dev/null' is another file"),
        (["--model", "digits", "--seeds", "1", "--out", ""], 2, "'--out': expected a path"),
        (["--model", "digits", "--seeds", "1", "--grid", "."], 2, "'.' is a directory"),
        (["--model", "digits", "--seeds", "1", "--grid", "g.jpg"], 2, "a name that ends in .png"),
        (["--model", "digits", "--seeds", "1", "--out", "one.png"], 2, "one picture of all images is --grid"),
        (["--model", "digits", "--seeds", "1", "--out", ".", "--timeout", "-1"], 2, "timeout must be"),
        (
            ["--model", "digits", "--seeds", "1", "--out", ".", "--shard", "4/3"],
            2,
            "shard '4/3' cannot be read",
        ),
        (["--model", "digits", "--seeds", "1", "--out", ".", "--shard", "0/3"], 2, "a form like 3/8"),
        (
            ["--model", "digits", "--seeds", "1", "--out", ".", "--codes", "a,b"],
            2,
            "codes 'a,b' cannot be read",
        ),
        (["--model", "digits", "--seeds", "1", "--out", ".", "--truncation", "0.5"], 2, "has no truncation"),
        (["--model", "digits", "--seeds", "1", "--out", ".", "--class", "a"], 2, "has no classes"),
        (
            ["--model", "digits", "--seeds", "1-3", "--out", ".", "--class", "a", "--class", "b"],
            2,
            "one class for all 3 images or one for each; received 2",
        ),
        (["--model", "digits", "--seeds", "0-1000000", "--out", "."], 2, "more than 1000000 images"),
        (
            ["--model", "digits", "--seeds", "1", "--out", "x/", "--ca", "nothing"],
            2,
            "cannot read the PEM file",
        ),
        (["--model", "digits", "--seeds", "1", "--out", ".", "--key", "x"], 2, "both, certificate and key"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(
    gannet: Any, target: str, tmp_path: Path, monkeypatch: Any, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    received, out, err = gannet("generate", "--server", target, *arguments)
    assert (received, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_exit_code_3(gannet: Any, free_port: int, tmp_path: Path) -> None:
    options = ["--server", f"127.0.0.1:{free_port}", "--model", "digits", "--seeds", "1", "--out", tmp_path]
    code, out, err = gannet("generate", *options)
    assert (code, out) == (3, "")
    assert err.startswith(f"gannet: model 'digits' at 127.0.0.1:{free_port}: no server answers")
    assert err.count("\n") == 1


def test_a_server_that_is_silent_is_exit_code_124(
    gannet: Any, target: str, fake: Any, tmp_path: Path
) -> None:
    fake.release.clear()
    options = ["--server", target, "--model", "digits", "--seeds", "1", "--out", tmp_path, "--timeout", "0.2"]
    assert gannet("generate", *options)[0] == 124
