"""TFRecord files of tf.train.Example, as TensorFlow writes them."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_client.errors import UsageError
from gannet_training.data import DataError, ImageSource, class_names, open_data
from gannet_training.data.crc32c import masked_crc32c
from tests.training.encoded_images import encode, picture, pixels

PICTURES = [picture(number) for number in range(24)]


def example(image: bytes | None = None, label: int | None = None, **other: bytes) -> bytes:
    values = {key.replace("__", "/"): [value] for key, value in other.items()}
    if image is not None:
        values["image/encoded"] = [image]
    feature = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)) for key, value in values.items()
    }
    if label is not None:
        feature["image/class/label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write(path: Path, records: Iterable[bytes], compression: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def good(count: int = 12, start: int = 0) -> list[bytes]:
    return [example(encode(array)) for array in PICTURES[start : start + count]]


def open_records(pattern: Path, index: Path | None = None, channels: int = 3) -> ImageSource:
    return open_data(f"tfrecord:{pattern}", image_size=8, channels=channels, index=index)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "records" / "train.tfrecord"


def test_records_come_in_the_order_of_files_and_places(tmp_path: Path) -> None:
    write(tmp_path / "b.tfrecord", good(3, 4))
    write(tmp_path / "a.tfrecord", good(4))
    write(tmp_path / "c.other", good(1))
    source = open_records(tmp_path / "*.tfrecord")
    np.testing.assert_array_equal(pixels(source), PICTURES[:7])
    np.testing.assert_array_equal(pixels(source, [6, 0, 6]), [PICTURES[6], PICTURES[0], PICTURES[6]])
    assert (source.labels, source.class_names) == (None, ())


def test_patterns_reach_into_folders(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "x.tfrecord", good(2))
    assert open_records(tmp_path / "**" / "*.tfrecord").size == 2


def test_jpeg_and_other_features_beside_it(records: Path) -> None:
    flat = np.full([40, 30, 3], (10, 200, 90), np.uint8)
    write(records, [example(encode(flat, "JPEG", quality=100), image__format=b"JPEG", zebra=b"0" * 99)])
    assert np.abs(pixels(open_records(records)).astype(int) - (10, 200, 90)).max() <= 2


def test_the_short_keys_do_too(records: Path) -> None:
    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[4]))
    write(records, [example(image=None) for _ in range(0)])
    rows = []
    for array in PICTURES[:2]:
        row = tf.train.Example.FromString(example(image__=b""))
        row.features.feature.clear()
        row.features.feature["image"].bytes_list.value.append(encode(array))
        row.features.feature["label"].CopyFrom(label)
        rows.append(row.SerializeToString())
        label.int64_list.value[0] = 2
    write(records, rows)
    source = open_records(records)
    np.testing.assert_array_equal(pixels(source), PICTURES[:2])
    np.testing.assert_array_equal(source.labels, [1, 0])
    assert source.class_names == ("2", "4")


def test_labels_are_numbered_from_zero_and_named(records: Path) -> None:
    names = {7: b"sept", 1: "déjà".encode(), 3: b"trois"}
    order = [7, 1, 3, 7]
    write(
        records,
        [
            example(encode(PICTURES[place]), label, image__class__text=names[label])
            for place, label in enumerate(order)
        ],
    )
    source = open_records(records)
    np.testing.assert_array_equal(source.labels, [2, 0, 1, 2])
    assert source.class_names == class_names(f"tfrecord:{records}") == ("déjà", "trois", "sept")


@pytest.mark.parametrize("labels", [[1, 2, None], [1, 1, 1], [0, 1, -1]])
def test_labels_that_make_no_classes(records: Path, labels: list[int | None]) -> None:
    write(records, [example(encode(PICTURES[0]), label) for label in labels])
    assert open_records(records).labels is None


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[bytes, str]] = {
    "no example": (b"no protocol buffer", "it is no tf.train.Example"),
    "no image": (example(other=b"0"), "it has no feature image/encoded or image of bytes"),
    "an image of another type": (
        example().replace(b"", b"") + tf.train.Example(
            features=tf.train.Features(
                feature={"image": tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))}
            )
        ).SerializeToString(),
        "it has no feature",
    ),
    "no bytes": (example(b""), "it has no feature"),
    "empty record": (b"", "it has no feature"),
    "no PNG": (example(b"GIF89a"), "neither PNG nor JPEG"),
    "image cut off": (example(encode(picture(0, 99, 99))[:-999]), "truncated"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_named_and_left_out(
    records: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, reason = DAMAGE[kind]
    write(records, [*good(6), bad, *good(6, 6)])
    source = open_records(records)
    np.testing.assert_array_equal(pixels(source), PICTURES[:12])
    (message,) = caplog.messages
    assert message.startswith(f"left out: {records} at byte ")
    assert reason in message


def test_a_flipped_bit_in_the_pixels_is_found_by_the_checksum(
    records: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flat = np.full([64, 64, 3], 9, np.uint8)
    write(records, [*good(11), example(encode(flat, "JPEG", quality=100)), *good(1, 11)])
    end = sum(16 + len(record) for record in good(11))
    flip(records, end + 700)
    source = open_records(records)
    np.testing.assert_array_equal(pixels(source), PICTURES[:12])
    assert caplog.messages == [f"left out: {records} at byte {end + 12}: its checksum is wrong"]


@pytest.mark.parametrize("change", ["length", "cut off", "header cut off"])
def test_behind_a_damaged_length_the_file_is_lost(
    records: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = write(records.with_name("a.tfrecord"), good(11))
    write(records, good(2, 11))
    second = 16 + len(good(1, 11)[0])
    if change == "length":
        flip(records, second + 1)
    else:
        os.truncate(records, second + (50 if change == "cut off" else 5))
    source = open_records(records.parent / "*.tfrecord")
    np.testing.assert_array_equal(pixels(source), PICTURES[:12])
    damage = "it is cut off or damaged; what follows in the file is lost"
    assert caplog.messages == [f"left out: {records} at byte {second}: {damage}"]
    assert other.exists()


def test_what_is_no_tfrecord_file_is_refused(records: Path) -> None:
    records.parent.mkdir()
    records.write_text("not a TFRecord file at all")
    with pytest.raises(DataError, match=r"1 of 1 images are damaged.*train.tfrecord: it is cut off"):
        open_records(records)


def test_a_compressed_file_is_refused(records: Path) -> None:
    write(records, good(), "GZIP")
    with pytest.raises(DataError, match=r"train.tfrecord is compressed.*decompress it"):
        open_records(records)


def test_an_empty_file_holds_no_image(records: Path) -> None:
    write(records, [])
    with pytest.raises(UsageError, match="expected PNG or JPEG images, received none"):
        open_records(records)


def test_the_index_spares_the_scan(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(records, [example(encode(array), number % 3) for number, array in enumerate(PICTURES)])
    index = tmp_path / "index.jsonl"
    first = open_records(records, index)

    def never(*_: object) -> None:
        raise AssertionError("scanned again")

    monkeypatch.setattr("gannet_training.data.encoded._damage", never)
    second = open_records(records, index)
    np.testing.assert_array_equal(pixels(second), PICTURES)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert second.class_names == ("0", "1", "2")


CHANGES: dict[str, Callable[[Path], object]] = {
    "written again": lambda path: write(path, good(3)),
    "deleted": Path.unlink,
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_changed_under_a_run_are_refused(records: Path, tmp_path: Path, change: str) -> None:
    kept = write(records.with_name("kept.tfrecord"), good(2))
    write(records, good())
    pattern, index = records.parent / "*.tfrecord", tmp_path / "index.jsonl"
    open_records(pattern, index)
    CHANGES[change](records)
    with pytest.raises(DataError, match=r"1 of the 2 files of tfrecord:.*train.tfrecord; bring them back"):
        open_records(pattern, index)
    assert kept.exists()


def test_a_file_that_is_cut_off_later_costs_its_images_alone(
    records: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gannet_training.data.reading.CACHE_BYTES", 0)
    write(records, good(12))
    source = open_records(records)
    os.truncate(records, 16 + len(good(1)[0]))
    for _ in range(2):
        np.testing.assert_array_equal(pixels(source, [0, 1, 11]), [PICTURES[0]] * 3)
    assert len(caplog.messages) == 11


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=1000))
def test_the_checksum_is_tensorflows(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = write(tmp_path_factory.mktemp("crc") / "one", [data])
    content = path.read_bytes()
    assert int.from_bytes(content[8:12], "little") == masked_crc32c(content[:8])
    assert int.from_bytes(content[-4:], "little") == masked_crc32c(data)
