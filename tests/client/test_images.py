import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from gannet_client import MissingExtra, ModelError, UsageError
from gannet_client.images import decode_pngs, encode_gif, encode_png, grid, save_png, to_pil, to_pixels

channels = st.sampled_from([1, 3, 4])
batches = st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 6), channels).flatmap(
    lambda shape: npst.arrays(np.uint8, shape)
)


@given(images=batches, columns=st.none() | st.integers(1, 12), padding=st.integers(0, 3))
def test_every_image_stands_in_its_cell_and_the_rest_is_white(
    images: np.ndarray, columns: int | None, padding: int
) -> None:
    count, height, width, depth = images.shape
    picture = grid(images, columns, padding)
    across = columns or int(np.ceil(np.sqrt(count)))
    down = -(-count // across)
    assert picture.shape == (
        down * (height + padding) + padding,
        across * (width + padding) + padding,
        depth,
    )
    for index, image in enumerate(images):
        top = padding + index // across * (height + padding)
        left = padding + index % across * (width + padding)
        cell = picture[top : top + height, left : left + width]
        assert np.array_equal(cell, image)
        cell[:] = 255
    assert (picture == 255).all()


@given(batches)
def test_a_png_holds_the_very_pixels(images: np.ndarray) -> None:
    picture = Image.open(io.BytesIO(encode_png(images[0])))
    assert picture.mode == {1: "L", 3: "RGB", 4: "RGBA"}[images.shape[-1]]
    assert np.array_equal(np.asarray(picture).reshape(images[0].shape), images[0])


def test_the_same_pixels_give_the_same_bytes() -> None:
    image = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    assert encode_png(image) == encode_png(image.copy())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 4, 4, 3), np.float32),
        np.zeros((2, 4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((2, 0, 4, 3), np.uint8),
    ],
)
def test_a_grid_of_anything_else_is_refused(array: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"expected uint8 \[n, H, W, C\].*received"):
        grid(array)


@pytest.mark.parametrize("options", [{"columns": 0}, {"padding": -1}])
def test_a_grid_refuses_bad_settings(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="columns >= 1 and padding >= 0"):
        grid(np.zeros((1, 2, 2, 1), np.uint8), **options)


def test_a_grid_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one image"):
        grid(np.zeros((0, 2, 2, 1), np.uint8))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_parents_are_made_and_any_name_will_do(tmp_path: Path) -> None:
    path = tmp_path / "Bilder für Zoë" / "数字" / "große Übersicht.png"
    image = np.full((4, 4, 1), 7, np.uint8)
    assert save_png(image, path) == path
    assert save_png(image, str(path)) == path
    assert pixels(path).tolist() == image[..., 0].tolist()


def test_an_unwritable_path_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "a.png", tmp_path, tmp_path / "a\0b.png", tmp_path / ("n" * 300)):
        with pytest.raises(UsageError, match="cannot write the image") as caught:
            save_png(np.zeros((1, 1, 1), np.uint8), path)
        assert "\n" not in str(caught.value)


def test_without_pillow_the_extra_is_named(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    image = np.zeros((4, 4, 1), np.uint8)
    for call in (
        lambda: to_pil(image),
        lambda: save_png(image, tmp_path / "a.png"),
        lambda: decode_pngs([b""]),
    ):
        with pytest.raises(MissingExtra, match=r"PIL.*pip install 'gannet-toolkit\[cli\]'"):
            call()


@given(batches)
def test_pngs_are_decoded_to_the_very_pixels(images: np.ndarray) -> None:
    files = [encode_png(image) for image in images]
    np.testing.assert_array_equal(decode_pngs(files), images, strict=True)


@pytest.mark.parametrize("files", [[b"nothing"], [encode_png(np.zeros((n, 2, 3), np.uint8)) for n in (2, 3)]])
def test_what_are_no_pngs_of_one_size_are_refused(files: list[bytes]) -> None:
    with pytest.raises(ModelError, match=r"expected an image as a PNG file|several sizes"):
        decode_pngs(files)


def test_a_png_of_absurd_size_costs_no_memory() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    file = encode_png(np.zeros((1, 1, 3), np.uint8))
    bomb = file[:12] + header + struct.pack(">I", zlib.crc32(header)) + file[33:]
    with pytest.raises(ModelError, match="3600000000 pixels"):
        decode_pngs([bomb])


@given(npst.arrays(np.float32, 9, elements=st.floats(width=32)), st.sampled_from([(-1.0, 1.0), (0.0, 1.0)]))
def test_floats_become_pixels_by_the_rule_of_the_contract(
    images: np.ndarray, value_range: tuple[float, float]
) -> None:
    low, high = value_range
    wanted = np.clip(np.nan_to_num(images.astype(np.float64), nan=low), low, high)
    grey = to_pixels(images, value_range).astype(float)
    assert np.abs(grey - (wanted - low) / (high - low) * 255).max() <= 0.51


def test_an_animation_shows_every_image() -> None:
    frames = np.stack([np.full((4, 4, 3), 60 * n, np.uint8) for n in range(4)])
    with Image.open(io.BytesIO(encode_gif(frames, 50))) as animation:
        assert (animation.n_frames, animation.info["duration"], animation.info["loop"]) == (4, 50, 0)
        animation.seek(3)
        assert np.asarray(animation.convert("RGB")).tolist() == frames[3].tolist()


def test_a_full_disk_leaves_the_picture_of_before_or_none(tmp_path: Path) -> None:
    program = """
import resource, sys
import numpy as np
from gannet_client import UsageError
from gannet_client.images import save_png
small, large = np.zeros((1, 1, 1), np.uint8), np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
save_png(small, sys.argv[1] + "/old.png")
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for name in ("old", "new"):
    try:
        save_png(large, f"{sys.argv[1]}/{name}.png")
    except UsageError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        f"cannot write the image '{tmp_path / name}'" for name in ("old.png", "new.png")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert pixels(tmp_path / "old.png").shape == (1, 1)


def test_a_link_stays_and_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    image = np.full((4, 4, 1), 7, np.uint8)
    link, pipe = tmp_path / "link.png", tmp_path / "pipe"
    link.symlink_to(tmp_path / "picture.png")
    assert save_png(image, link) == link
    assert link.is_symlink() and pixels(tmp_path / "picture.png").shape == (4, 4)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    save_png(image, pipe)
    assert os.read(reader, 1 << 16) == encode_png(image)
    os.close(reader)
