"""What `generate` returns, and the record that its files carry."""

import io
import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gannet_client import Generation, MissingExtra, ModelError, UsageError
from gannet_client.images import encode_png
from gannet_client.png import add_text, read_text
from gannet_client.record import Record

ARRAY = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)
SEEDS = np.array([7, -12, 123456])


def generation(**fields: Any) -> Generation:
    return Generation(**{"array": ARRAY, "seeds": SEEDS, "model": "digits", "version": 3, **fields})


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image.load()
        return np.asarray(image)


# What it shows.


def test_it_tells_what_it_is() -> None:
    images = generation()
    assert repr(images) == "Generation(model='digits', version=3, n=3)"
    assert np.array_equal(images.grid(columns=3, padding=0)[:, 4:8], ARRAY[1])
    assert [image.mode for image in images.pil()] == ["L"] * 3
    assert len(images) == 3


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_every_kind_of_image_is_shown_and_saved(
    channels: int, mode: str, dtype: type, tmp_path: Path
) -> None:
    array = np.ones((2, 4, 5, channels), dtype)
    images = generation(array=array, seeds=np.arange(2))
    white = 1 if dtype is np.uint8 else 255
    assert [image.mode for image in images.pil()] == [mode] * 2
    assert (pixels(images.save(tmp_path)[1]).reshape(4, 5, channels) == white).all()
    shown = images._repr_png_()
    assert shown is not None and shown.startswith(b"\x89PNG")
    assert images.array.dtype == dtype


def test_floats_of_another_range_are_shown_in_it() -> None:
    images = generation(array=np.zeros((1, 2, 2, 1), np.float32), value_range=(0.0, 1.0))
    assert images.grid(padding=0).max() == 0


def test_a_notebook_shows_the_first_images_and_nothing_of_none(monkeypatch: Any) -> None:
    many = generation(array=np.zeros((500, 8, 8, 1), np.uint8), seeds=np.arange(500))
    with Image.open(io.BytesIO(many._repr_png_() or b"")) as shown:
        assert shown.size == (8 * 10 + 2, 8 * 10 + 2)
    assert generation(array=ARRAY[:0], seeds=SEEDS[:0])._repr_png_() is None
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert generation()._repr_png_() is None


def test_files_of_the_server_are_decoded_when_they_are_looked_at(monkeypatch: Any, tmp_path: Path) -> None:
    files = tuple(map(encode_png, ARRAY))
    images = generation(array=None, pngs=files)
    assert np.array_equal(images.array, ARRAY) and images.array is images.array
    broken = generation(array=None, pngs=(b"nothing",) * 3)
    assert len(broken) == 3
    with pytest.raises(ModelError, match="expected an image as a PNG file"):
        broken.pil()
    with pytest.raises(ModelError, match="model 'digits' version 3: expected a PNG file"):
        broken.save(tmp_path)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "PIL", None)
        saved = generation(array=None, pngs=files).save(tmp_path)
    for path, array in zip(saved, ARRAY, strict=True):
        assert np.array_equal(pixels(path), array[..., 0])
    assert generation(array=None, pngs=(), seeds=SEEDS[:0]).png() == []


# What it saves.


def test_images_are_saved_by_their_seeds(tmp_path: Path) -> None:
    paths = generation(classes=np.array([-1, 2, -1])).save(tmp_path / "größe" / "画像")
    assert [path.name for path in paths] == ["seed0007.png", "seed-0012-class2.png", "seed123456.png"]
    for path, array in zip(paths, ARRAY, strict=True):
        assert np.array_equal(pixels(path), array[..., 0])
    assert sorted(path.name for path in paths) == sorted(path.name for path in paths[0].parent.iterdir())


@pytest.mark.parametrize(
    "different",
    [
        {"truncation": np.array([1, 0.5, 1], np.float32)},
        {"codes": np.array([[0.3], [np.nan], [0.3]], np.float32)},
    ],
)
def test_no_image_takes_the_file_of_another(different: Any, tmp_path: Path) -> None:
    seeds = np.array([7, 7, 7])
    with pytest.raises(UsageError, match=r"two different images would be the file 'seed0007\.png'"):
        generation(seeds=seeds, **different).save(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    same = {name: rows[[0, 2, 2]] for name, rows in different.items()}
    assert {path.name for path in generation(seeds=seeds, **same).save(tmp_path)} == {"seed0007.png"}


def test_images_of_noise_are_saved_by_their_place(tmp_path: Path) -> None:
    paths = generation(seeds=None).save(tmp_path)
    assert [path.name for path in paths] == ["noise0000.png", "noise0001.png", "noise0002.png"]
    record = Record.of_file(paths[2])
    assert (record.seed, record.command()) == (None, None)


def test_a_file_tells_what_its_image_follows_from(tmp_path: Path) -> None:
    images = generation(
        model='Zoë\'s "model"',
        classes=np.array([0, -1, 2]),
        truncation=np.array([0.7, 1, 0.1], np.float32),
        codes=np.array([[0.3, np.nan], [np.nan, np.nan], [-1, 1]], np.float32),
        weights="ab" * 32,
    )
    paths = images.save(tmp_path)
    assert [Record.of_file(path) for path in paths] == images.records()
    assert images.records()[0] == Record(
        model='Zoë\'s "model"',
        version=3,
        weights="ab" * 32,
        seed=7,
        label=0,
        truncation=0.7,
        codes=(0.3, None),
    )
    with Image.open(paths[0]) as opened:
        assert json.loads(opened.text["gannet"])["weights"] == "ab" * 32
    assert [Path(path).read_bytes() for path in paths] == images.png()


def test_the_disk_may_be_full(tmp_path: Path) -> None:
    program = """
import resource, sys
import numpy as np
from gannet_client import Generation, UsageError
noise = np.random.default_rng(0).integers(0, 256, (2, 99, 99, 3), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    Generation(array=noise, seeds=np.arange(2), model="m", version=1).save(sys.argv[1])
except UsageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"cannot write the image '{tmp_path}/seed0000.png': File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_without_pillow_the_extra_is_named(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    for call in (generation().pil, generation().png, lambda: generation().save(tmp_path)):
        with pytest.raises(MissingExtra, match=r"PIL.*pip install 'gannet-toolkit\[cli\]'"):
            call()


# The record.

floats = st.floats(-2, 2, width=32).map(lambda value: float(str(np.float32(value))))
records = st.builds(
    Record,
    model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    version=st.integers(0, 2**63 - 1),
    weights=st.none() | st.text("0123456789abcdef"),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    label=st.none() | st.integers(-1, 9),
    truncation=st.none() | floats,
    codes=st.none() | st.lists(st.none() | floats, max_size=4).map(tuple),
    noise=st.none() | st.just("philox"),
    value_range=st.none() | st.tuples(floats, floats),
)
PNG = encode_png(ARRAY[0])


@given(records)
def test_a_record_survives_its_file(tmp_path_factory: Any, record: Record) -> None:
    path = tmp_path_factory.mktemp("records") / "image.png"
    path.write_bytes(record.written_to(PNG))
    assert Record.of_file(path) == record
    assert np.array_equal(pixels(path), ARRAY[0, ..., 0])


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "gannet generate --model digits --version 3 --seeds=7 --out ."),
        (
            {"seed": -7, "label": 2},
            "gannet generate --model digits --version 3 --seeds=-7 --class=+2 --out .",
        ),
        ({"label": -1, "truncation": 1.0, "codes": (None, None)}, None),
        (
            {"truncation": 0.7, "codes": (0.5, None)},
            "gannet generate --model digits --version 3 --seeds=7 --truncation=0.7 --codes=0.5,nan --out .",
        ),
        (
            {"noise": "philox", "value_range": (-0.5, 1.0)},
            "gannet generate --model digits --version 3 --seeds=7 --value-range=-0.5,1.0 --out .",
        ),
        (
            {"model": "a model; rm -rf"},
            "gannet generate --model 'a model; rm -rf' --version 3 --seeds=7 --out .",
        ),
    ],
)
def test_the_command_says_what_is_not_the_default(changes: Any, command: str | None) -> None:
    record = replace(Record("digits", 3, seed=7), **changes)
    assert record.command() == (command or Record("digits", 3, seed=7).command())


def with_text(text: str) -> bytes:
    return add_text(PNG, "gannet", text)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a PNG file"),
        (b"GIF89a", "expected a PNG file"),
        (PNG[:30], "breaks off"),
        (PNG, "has no record of how it was drawn"),
        (add_text(PNG, "Title", "sunset"), "has no record"),
        (with_text("{}").replace(b"{}", b"[]"), "damaged"),
        (with_text("{"), "cannot be read; expected one of format 1"),
        (with_text("[1]"), "cannot be read"),
        (with_text('{"format": 2}'), "cannot be read"),
        (with_text('{"format": 1, "model": 5, "version": 1}'), "cannot be read"),
        (with_text('{"format": 1, "model": "m", "version": true}'), "cannot be read"),
        (with_text('{"format": 1, "model": "m", "version": 1, "codes": 5}'), "cannot be read"),
        (with_text('{"format": 1, "model": "m", "version": 1, "value_range": [0.0]}'), "cannot be read"),
        (with_text("[" * 30_000), "cannot be read"),
        (PNG[:33] + chunk(b"tEXt", b"gannet\0" + b"x" * 70_000) + PNG[33:], "has no record"),
    ],
)
def test_a_file_without_a_record_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        Record.of_file(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@given(st.binary(max_size=60), st.integers(0, 40))
def test_any_bytes_are_read_or_refused(noise: bytes, place: int) -> None:
    file = with_text("text")
    changed = file[:place] + noise + file[place + len(noise) :]
    try:
        assert read_text(io.BytesIO(changed), "gannet") in (None, "text")
    except ValueError as error:
        assert "PNG" in str(error)
