"""Folders of images, as users have them."""

import contextlib
import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gannet_client.errors import UsageError
from gannet_training.data import DataError, ImageSource, class_names, data_errors, open_data
from gannet_training.pipeline import batches
from tests.training.encoded_images import encode, fill, picture, pixels, write


def open_folder(
    folder: Path, index: Path | None = None, image_size: int = 8, channels: int = 3
) -> ImageSource:
    return open_data(f"folder:{folder}", image_size=image_size, channels=channels, index=index)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "images"


def test_images_come_in_the_order_of_their_paths(folder: Path) -> None:
    pictures = fill(folder, 3)
    pictures += fill(folder / "b" / "deeper", 2, 3)
    source = open_folder(folder)
    np.testing.assert_array_equal(pixels(source), pictures)
    assert (source.image_shape, source.labels, source.class_names) == ((8, 8, 3), None, ())


def test_subfolders_are_classes(folder: Path) -> None:
    fill(folder / "dogs", 3)
    fill(folder / "cats" / "young", 2)
    fill(folder / "cats" / "old", 1)
    source = open_folder(folder)
    assert source.class_names == class_names(f"folder:{folder}") == ("cats", "dogs")
    assert source.labels is not None
    np.testing.assert_array_equal(source.labels, [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("strayed", [[("train",)], [("a",), ()]])
def test_one_subfolder_or_a_stray_image_makes_no_classes(
    folder: Path, strayed: list[tuple[str, ...]]
) -> None:
    for parts in strayed:
        fill(folder.joinpath(*parts), 2)
    assert open_folder(folder).labels is None
    assert class_names(f"folder:{folder}") == ()


def test_a_class_without_a_good_image_is_none(folder: Path) -> None:
    for name in ("a", "c", "d"):
        fill(folder / name, 4)
    write(folder / "b" / "bad.png", b"")
    source = open_folder(folder)
    assert source.class_names == ("a", "c", "d")
    assert source.labels is not None
    np.testing.assert_array_equal(source.labels, np.repeat([0, 1, 2], 4))


def test_the_central_square_is_taken(folder: Path) -> None:
    wide, high = picture(1, 6, 12), picture(2, 12, 6)
    write(folder / "a.png", wide)
    write(folder / "b.png", high)
    drawn = pixels(open_folder(folder, image_size=6))
    np.testing.assert_array_equal(drawn, [wide[:, 3:9], high[3:9]])


@pytest.mark.parametrize("size", [1, 5, 64, 300])
def test_any_size_becomes_the_size_asked_for(folder: Path, size: int) -> None:
    array = np.full([40, 31, 3], (200, 100, 0), np.uint8)
    write(folder / "a.png", array)
    write(folder / "b.jpg", encode(array, "JPEG", quality=100))
    drawn = pixels(open_folder(folder, image_size=size))
    assert drawn.shape == (2, size, size, 3)
    assert np.abs(drawn.astype(int) - (200, 100, 0)).max() <= 2


def test_a_large_jpeg_is_what_a_full_decoding_gives(folder: Path) -> None:
    ramp = np.add.outer(np.arange(256), np.arange(256)) // 2
    array = np.stack([ramp, ramp[::-1], 255 - ramp], axis=-1).astype(np.uint8)
    write(folder / "a.jpeg", encode(array, "JPEG", quality=95))
    drawn = pixels(open_folder(folder, image_size=16))[0]
    expected = Image.fromarray(array).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.abs(drawn.astype(int) - np.asarray(expected)).mean() < 2


def modes_of_images() -> Iterator[tuple[str, Callable[[], bytes], np.ndarray]]:
    grey, colour = picture(3, channels=1), picture(4)
    alpha = np.tile(np.array([0, 255], np.uint8), [8, 4])[..., None]
    over_white = np.where(alpha == 255, colour, 255)
    yield "grey", lambda: encode(grey), np.repeat(grey, 3, axis=-1)
    yield "RGBA", lambda: encode(np.concatenate([colour, alpha], axis=-1)), over_white
    grey_alpha = np.concatenate([grey, alpha], axis=-1)
    yield "LA", lambda: encode(grey_alpha), np.repeat(np.where(alpha == 255, grey, 255), 3, axis=-1)
    deep = (grey.astype(np.uint16) << 8 | 77).squeeze(-1)
    yield "16 bits", lambda: encode(deep[..., None]), np.repeat(grey, 3, axis=-1)
    palette = Image.fromarray(np.repeat(colour[:1], 8, axis=0)).quantize(8)
    yield "palette", lambda: saved(palette), np.asarray(palette.convert("RGB"))
    bits = Image.fromarray(grey.squeeze(-1)).convert("1")
    yield "1 bit", lambda: saved(bits), np.asarray(bits.convert("RGB"))
    yield (
        "transparent colour",
        lambda: saved(palette, transparency=0),
        np.where(np.asarray(palette)[..., None] == 0, 255, np.asarray(palette.convert("RGB"))),
    )


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    path = Path(tempfile.mkstemp()[1])
    try:
        image.save(path, kind, **options)
        return path.read_bytes()
    finally:
        path.unlink()


MODES = {name: (content, expected) for name, content, expected in modes_of_images()}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(folder: Path, mode: str) -> None:
    content, expected = MODES[mode]
    write(folder / "a.png", content())
    np.testing.assert_array_equal(pixels(open_folder(folder))[0], expected)


def test_cmyk_becomes_rgb(folder: Path) -> None:
    colour = Image.new("RGB", (8, 8), (250, 10, 120))
    write(folder / "a.jpg", saved(colour.convert("CMYK"), "JPEG", quality=100))
    assert np.abs(pixels(open_folder(folder))[0].astype(int) - (250, 10, 120)).max() < 6


def test_colour_becomes_grey_if_asked(folder: Path) -> None:
    array = picture(5)
    write(folder / "a.png", array)
    drawn = pixels(open_folder(folder, channels=1))
    np.testing.assert_array_equal(drawn[0, ..., 0], np.asarray(Image.fromarray(array).convert("L")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_photograph_stands_upright(folder: Path, orientation: int) -> None:
    upright = np.zeros([8, 8, 3], np.uint8)
    upright[:2, :4], upright[4:, 6:] = 255, (255, 0, 0)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    write(folder / "a.png", encode(np.ascontiguousarray(stored), exif=exif))
    np.testing.assert_array_equal(pixels(open_folder(folder))[0], upright)


def test_broken_exif_does_not_spoil_a_photograph(folder: Path) -> None:
    array = picture(6)
    write(folder / "a.png", encode(array, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    np.testing.assert_array_equal(pixels(open_folder(folder))[0], array)


def test_the_content_decides_and_not_the_suffix(folder: Path) -> None:
    array = picture(7)
    write(folder / "really-png.JPG", array)
    write(folder / "image.webp", b"not looked at")
    write(folder / "notes.txt", b"not looked at")
    np.testing.assert_array_equal(pixels(open_folder(folder)), [array])


def test_names_of_any_kind(folder: Path) -> None:
    names = ["Bäume/ü.png", "図/a b.png", "図/new\nline.png", os.fsdecode(b"latin\xe4/a.png"), "-/%s.png"]
    pictures = {name: picture(number) for number, name in enumerate(names)}
    for name, array in pictures.items():
        write(folder / name, array)
    index = folder.parent / "index.jsonl"
    np.testing.assert_array_equal(pixels(open_folder(folder, index)), [pictures[n] for n in sorted(names)])
    np.testing.assert_array_equal(pixels(open_folder(folder, index)), [pictures[n] for n in sorted(names)])


def test_hidden_files_are_left_alone(folder: Path) -> None:
    (array,) = fill(folder, 1)
    write(folder / "._000.png", b"resource fork")
    write(folder / ".thumbnails" / "a.png", picture(9))
    np.testing.assert_array_equal(pixels(open_folder(folder)), [array])


def test_links_are_followed_and_loops_are_not(folder: Path, tmp_path: Path) -> None:
    pictures = fill(folder / "a", 2)
    elsewhere = fill(tmp_path / "elsewhere", 2, 2)
    (folder / "a" / "up").symlink_to(folder)
    (folder / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(folder / "b")
    source = open_folder(folder)
    np.testing.assert_array_equal(pixels(source), pictures + elsewhere)
    assert source.class_names == ("a", "b")


def test_one_image_is_a_set(folder: Path) -> None:
    (array,) = fill(folder, 1)
    source = open_folder(folder)
    drawn = next(batches(source, batch_size=4, draws={}, seed=0).as_numpy_iterator())["images"][:, 0]
    np.testing.assert_allclose(drawn, [array / np.float32(127.5) - 1] * 4, atol=1e-6)


def test_an_empty_folder_is_refused(folder: Path) -> None:
    folder.mkdir()
    write(folder / "notes.txt", b"")
    with pytest.raises(UsageError, match=f"folder:{folder}: expected PNG or JPEG images, received none"):
        open_folder(folder)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "it is empty"),
    "text": (lambda path: path.write_text("no image"), "neither PNG nor JPEG"),
    "another format": (lambda path: path.write_bytes(encode(picture(0), "GIF")), "neither PNG nor JPEG"),
    "cut off": (lambda path: path.write_bytes(encode(picture(0, 99, 99))[:-999]), "truncated"),
    "jpeg cut off": (
        lambda path: path.write_bytes(encode(picture(0, 99, 99), "JPEG")[:-999]), "truncated"
    ),
    "flipped bit": (
        lambda path: path.write_bytes(encode(picture(0)).replace(b"IDAT", b"IDAT\x01", 1)), ""
    ),
    "no such file": (lambda path: path.symlink_to("nowhere.png"), "No such file or directory"),
    "link to itself": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    "pipe": (os.mkfifo, "it is not a regular file"),
    "too many pixels": (
        lambda path: Image.new("1", (9000, 9000)).save(path), "9000x9000 pixels are more than 80,000,000"
    ),
    "a bomb": (lambda path: Image.new("1", (20_000, 20_000)).save(path), "exceeds limit"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_damaged_image_is_named_and_left_out(
    folder: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = fill(folder, 9)
    make, reason = BAD[kind]
    make(folder / "005bad.png")
    with caplog.at_level(logging.WARNING):
        source = open_folder(folder, folder.parent / "index.jsonl")
    np.testing.assert_array_equal(pixels(source), pictures)
    (message,) = caplog.messages
    assert message.startswith(f"left out: {folder}/005bad.png: ")
    assert reason in message
    header = json.loads((folder.parent / "index.jsonl").read_text().splitlines()[0])
    assert header["damaged"][0][0] == f"{folder}/005bad.png"


def test_many_damaged_images_are_named_in_the_index(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(folder, 180)
    for number in range(20):
        write(folder / f"bad{number:02d}.png", b"")
    open_folder(folder, folder.parent / "index.jsonl")
    assert len(caplog.messages) == 11
    assert "10 more damaged images, all of them are named in" in caplog.messages[-1]


def test_too_many_damaged_images_stop(folder: Path) -> None:
    fill(folder, 8)
    write(folder / "bad.png", b"")
    with pytest.raises(DataError, match=r"1 of 9 images are damaged, more than 10%, .*bad.png: it is empty"):
        open_folder(folder, folder.parent / "index.jsonl")
    assert not (folder.parent / "index.jsonl").exists()


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything, so a test of permissions runs as somebody else."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    for inner in path.rglob("*"):
        inner.chmod(0o755)
    shutil.rmtree(path)


def test_an_unreadable_file_is_damaged_and_an_unreadable_folder_stops(
    open_to_all: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(open_to_all, 10)
    (open_to_all / "004.png").chmod(0)
    with nobody():
        assert open_folder(open_to_all).size == 9
    # Of this package alone: a server of other tests in this process looks around as nobody, too.
    told = [record.getMessage() for record in caplog.records if record.name.startswith("gannet_training")]
    assert told == [f"left out: {open_to_all}/004.png: Permission denied"]
    fill(open_to_all / "closed", 1)
    (open_to_all / "closed").chmod(0)
    with nobody(), pytest.raises(DataError, match=f"cannot list the folder {open_to_all}/closed: Permission"):
        open_folder(open_to_all)


def test_the_index_is_the_definition_of_the_set(folder: Path, tmp_path: Path) -> None:
    fill(folder / "a", 6)
    fill(folder / "b", 6, 6)
    write(folder / "b" / "bad.png", b"")
    index = tmp_path / "run" / "data.jsonl"
    first = open_folder(folder, index)
    before = index.read_bytes()
    fill(folder / "a", 3, 50)
    second = open_folder(folder, index)
    assert index.read_bytes() == before
    np.testing.assert_array_equal(pixels(first), pixels(second))
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.class_names == second.class_names
    assert {path.name for path in index.parent.iterdir()} == {"data.jsonl"}


CHANGES: dict[str, Callable[[Path], object]] = {
    "other bytes": lambda path: path.write_bytes(path.read_bytes() + b"0"),
    "another time": lambda path: os.utime(path, ns=(0, 0)),
    "deleted": Path.unlink,
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_changed_under_a_run_are_refused(folder: Path, tmp_path: Path, change: str) -> None:
    fill(folder, 4)
    index = tmp_path / "data.jsonl"
    open_folder(folder, index)
    CHANGES[change](folder / "002.png")
    with pytest.raises(DataError, match=r"1 of the 4 files of folder:.*002.png; bring them back") as caught:
        open_folder(folder, index)
    assert f"delete {index} to scan again" in str(caught.value)
    index.unlink()
    assert open_folder(folder, index).size == 4 - (change == "deleted")


def test_the_index_of_another_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    fill(folder, 1)
    fill(tmp_path / "other", 1)
    open_folder(folder, tmp_path / "index")
    with pytest.raises(DataError, match=f"is the index of folder:{folder}, expected that of folder:"):
        open_folder(tmp_path / "other", tmp_path / "index")


@pytest.mark.parametrize("keep", [0, 1, 2, -1])
def test_a_damaged_index_is_refused(folder: Path, tmp_path: Path, keep: int) -> None:
    fill(folder, 5)
    index = tmp_path / "index"
    open_folder(folder, index)
    lines = index.read_text().splitlines()
    index.write_text("\n".join(lines[:keep]) + (lines[-1][:-3] if keep < 0 else ""))
    with pytest.raises(DataError, match=f"cannot read the index {index}: .*; delete it") as caught:
        open_folder(folder, index)
    assert "\n" not in str(caught.value)


def test_an_index_that_cannot_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    fill(folder, 1)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write the index"):
        open_folder(folder, tmp_path / "file" / "index")


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gannet_training.data.reading.CACHE_BYTES", 0)


@pytest.mark.usefixtures("uncached")
@pytest.mark.parametrize("change", ["deleted", "cut off"])
def test_an_image_that_fails_later_is_replaced_by_the_next(
    folder: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = fill(folder, 5)
    source = open_folder(folder)
    for name in ("001.png", "002.png", "004.png"):
        (folder / name).unlink() if change == "deleted" else os.truncate(folder / name, 60)
    for _ in range(3):
        drawn = pixels(source, [0, 1, 2, 3, 4])
        np.testing.assert_array_equal(drawn, [pictures[row] for row in (0, 3, 3, 3, 0)])
    reason = "No such file or directory" if change == "deleted" else "it ends after 60 of"
    assert len(caplog.messages) == 3
    assert all(
        message.startswith(f"cannot read {folder}/00") and reason in message for message in caplog.messages
    )


@pytest.mark.usefixtures("uncached")
def test_a_replacement_is_of_the_same_class(folder: Path) -> None:
    first, second = fill(folder / "a", 3), fill(folder / "b", 3, 3)
    source = open_folder(folder)
    (folder / "a" / "002.png").unlink()
    (folder / "b" / "004.png").unlink()
    np.testing.assert_array_equal(pixels(source, [2, 4]), [first[0], second[2]])


def test_what_was_read_once_is_kept(folder: Path) -> None:
    pictures = fill(folder, 3)
    source = open_folder(folder)
    for _ in range(2):
        np.testing.assert_array_equal(pixels(source), pictures)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.usefixtures("uncached")
def test_a_set_that_is_gone_stops_with_one_line(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(folder, 120)
    source = open_folder(folder)
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"cannot read .*007.png nor any image that could replace it"):
        pixels(source, [7])
    assert len(caplog.messages) == 100


@pytest.mark.usefixtures("uncached")
def test_a_pipeline_tells_it_in_one_line_too(folder: Path) -> None:
    fill(folder, 3)
    data = batches(open_folder(folder), batch_size=2, draws={}, seed=0)
    shutil.rmtree(folder)
    told = r"^cannot read .*png nor any image that could replace it"
    with pytest.raises(DataError, match=told) as caught, data_errors():
        next(iter(data))
    assert "\n" not in str(caught.value)
    with pytest.raises(tf.errors.InvalidArgumentError), data_errors():
        tf.reshape([1], [2])


@pytest.mark.usefixtures("uncached")
def test_a_stream_goes_on_while_images_vanish(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures = fill(folder, 20)
    stream = batches(open_folder(folder), batch_size=8, draws={}, seed=0).as_numpy_iterator()
    next(stream)
    for number in range(0, 20, 2):
        (folder / f"{number:03d}.png").unlink()
    drawn = np.concatenate([next(stream)["images"][:, 0] for _ in range(40)])[-160:]
    left = np.stack(pictures[1::2]) / np.float32(127.5) - 1
    assert all(np.abs(left - image).max(axis=(1, 2, 3)).min() < 1e-6 for image in drawn)
    assert len(caplog.messages) == 10


def test_a_run_keeps_its_index_and_refuses_other_data(
    folder: Path, tmp_path: Path, gannet: Callable[..., tuple[int, str, str]]
) -> None:
    fill(folder, 40)
    arguments = (
        *("train", "dcgan", "--data", f"folder:{folder}", "--image-size", 8, "--out", tmp_path / "run"),
        *("--strategy", "single", "--batch-size", 8, "--width", 4, "--latent-dim", 8),
    )
    code, _, error = gannet(*arguments, "--steps", 5)
    assert code == 0, error
    assert (tmp_path / "run" / "data.jsonl").exists()
    (folder / "003.png").unlink()
    code, _, error = gannet(*arguments, "--steps", 10)
    assert code == 1
    assert error.startswith("gannet: 1 of the 40 files")
    assert error.count("\n") == 1


def test_a_process_may_end_while_images_are_being_read(folder: Path) -> None:
    fill(folder, 50)
    script = (
        "import sys, tensorflow as tf\n"
        "from gannet_training.data import open_data\n"
        "source = open_data('folder:' + sys.argv[1], image_size=64)\n"
        "data = tf.data.Dataset.range(10**9).map(lambda i: i % 50).batch(16)\n"
        "data = data.map(source.fetch, 2).prefetch(9)\n"
        "iterator = iter(data)\n"
        "print(next(iterator).shape)\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    # Three at once: an ending that goes wrong does so one time in three.
    together = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        printed = [process.communicate()[0] for process in together]
    finally:
        for process in together:
            process.kill()
    assert printed == ["(16, 64, 64, 3)\n"] * 3
    assert [process.returncode for process in together] == [0] * 3


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_resumed_stream_is_the_same_stream(folder: Path, tmp_path: Path, replicas: int) -> None:
    fill(folder, 11)
    drawn = []
    for first_step in (0, 4):
        source = open_folder(folder, tmp_path / "index")
        data = batches(source, batch_size=4, draws={}, seed=3, first_step=first_step)
        if replicas == 2:
            data = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).experimental_distribute_dataset(data)
            steps = [
                np.concatenate([part.numpy() for part in step["images"].values])
                for step in itertools.islice(data, 6)
            ]
        else:
            steps = [step["images"] for step in itertools.islice(data.as_numpy_iterator(), 6)]
        drawn.append(steps)
    np.testing.assert_array_equal(drawn[0][4:], drawn[1][:2])
