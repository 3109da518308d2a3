"""What every data set is to those who train on it."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_client.errors import UsageError
from gannet_training.data import DataFormat, ImageSource, class_names, data_format, in_memory, open_data
from gannet_training.data.reading import Reader
from gannet_training.data.source import from_reader
from gannet_training.data.toy import GRID, POINTS, RING, Mixture, mixture_points
from gannet_training.pipeline import untuned

RANDOM = np.random.RandomState(0)
PIXELS = RANDOM.randint(0, 256, [12, 5, 5, 3]).astype(np.uint8)
LABELS = np.arange(12, dtype=np.int64) % 3

SOURCES: dict[str, Callable[[], ImageSource]] = {
    "bytes": lambda: in_memory(PIXELS, LABELS, "abc"),
    "floats": lambda: in_memory((PIXELS / 127.5 - 1).astype(np.float32), LABELS, "abc"),
    "reader": lambda: from_reader(Reader(PIXELS.__getitem__, 12, (5, 5, 3)), 12, (5, 5, 3), LABELS, "abc"),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> ImageSource:
    return SOURCES[request.param]()


def test_a_pixel_is_the_value_that_the_contract_turns_back(source: ImageSource) -> None:
    images = source.fetch(tf.range(12, dtype=tf.int64))
    assert images.dtype == tf.float32
    np.testing.assert_array_equal(np.clip(np.round((images.numpy() + 1) * 127.5), 0, 255), PIXELS)
    assert (images.numpy().min(), images.numpy().max()) >= (-1.0, 0.9)
    assert np.abs(images.numpy()).max() <= 1


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.integers(0, 11), max_size=9), name=st.sampled_from(sorted(SOURCES)))
def test_images_are_a_function_of_their_indices(rows: list[int], name: str) -> None:
    source = SOURCES[name]()
    indices = tf.constant(rows, tf.int64)
    eager = source.fetch(indices).numpy()
    assert eager.shape == (len(rows), 5, 5, 3)
    mapped = untuned(tf.data.Dataset.from_tensors(indices).map(source.fetch))
    np.testing.assert_array_equal(next(mapped.as_numpy_iterator()), eager)
    for row, image in zip(rows, eager, strict=True):
        np.testing.assert_array_equal(source.fetch(tf.constant([row], tf.int64)).numpy()[0], image)


def test_shapes_are_known_in_a_graph(source: ImageSource) -> None:
    mapped = untuned(tf.data.Dataset.range(12).batch(4, drop_remainder=True).map(source.fetch))
    assert mapped.element_spec.shape == (4, *source.image_shape)


@pytest.mark.parametrize("row", [-1, 12])
def test_an_index_out_of_range_is_an_error(source: ImageSource, row: int) -> None:
    with pytest.raises(tf.errors.OpError, match=r"indices from 0 to 11|not in \[0, 12\)"):
        list(untuned(tf.data.Dataset.from_tensors([row]).map(source.fetch)))


def test_labels_and_names_come_along(source: ImageSource) -> None:
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.class_names == ("a", "b", "c")
    assert (source.size, source.image_shape) == (12, (5, 5, 3))


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (PIXELS[0], None, "", r"expected images uint8 or float32 \[N, H, W, C\].*received uint8 \[5, 5, 3\]"),
        (PIXELS[:0], None, "", r"received uint8 \[0, 5, 5, 3\]"),
        (PIXELS.astype(np.float64), None, "", "received float64"),
        (PIXELS, LABELS[1:], "abc", r"expected labels int64 \[12\], received int64 \[11\]"),
        (PIXELS, LABELS.astype(np.int32), "abc", "received int32"),
        (PIXELS, LABELS, "ab", "expected labels from 0 to 1, one per class name, received 0 to 2"),
        (PIXELS, LABELS - 1, "abc", "received -1 to 1"),
    ],
)
def test_what_is_no_set_of_images(
    images: np.ndarray, labels: np.ndarray | None, names: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        in_memory(images, labels, names)


def test_digits_are_real_and_in_range() -> None:
    digits = open_data("digits")
    images = digits.fetch(tf.range(digits.size)).numpy()
    assert images.shape == (1797, 16, 16, 1)
    assert digits.image_shape == (16, 16, 1)
    assert (images.min(), images.max()) == (-1.0, 1.0)
    assert digits.labels is not None
    assert np.bincount(digits.labels).min() > 170
    assert digits.class_names == tuple("0123456789")


def test_digits_are_resized_bilinearly() -> None:
    native = open_data("digits", image_size=8).fetch(tf.range(100))
    resized = open_data("digits", image_size=24).fetch(tf.range(100))
    np.testing.assert_allclose(resized, tf.image.resize(native, (24, 24)), atol=1e-6)


@pytest.mark.parametrize(("name", "mixture", "modes"), [("ring", RING, 8), ("grid", GRID, 25)])
def test_mixtures_are_the_published_ones(name: str, mixture: Mixture, modes: int) -> None:
    source = open_data(name)
    points = source.fetch(tf.range(source.size)).numpy().reshape(-1, 2)
    assert (source.size, source.image_shape) == (100_000, (1, 1, 2))
    assert len(mixture.means) == len(source.class_names) == modes
    assert source.labels is not None
    counts = np.bincount(source.labels, minlength=modes)
    assert np.abs(counts * modes / POINTS - 1).max() < 0.07
    distances = points - mixture.means[source.labels]
    assert distances.std() == pytest.approx(mixture.std, rel=0.01)
    # The share within three standard deviations in two dimensions: 1 - exp(-9 / 2).
    within = (np.linalg.norm(distances, axis=1) < 3 * mixture.std).mean()
    assert within == pytest.approx(1 - np.exp(-4.5), abs=0.002)


def test_the_ring_and_the_grid_stand_where_they_should() -> None:
    np.testing.assert_allclose(np.linalg.norm(RING.means, axis=1), 1)
    assert {tuple(mean) for mean in GRID.means.tolist()} == {
        (x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)
    }


def test_points_are_fixed() -> None:
    first = open_data("grid").fetch(tf.range(3)).numpy().ravel()
    np.testing.assert_allclose(first, mixture_points(GRID)[0][:3].ravel())
    np.testing.assert_allclose(
        first, [-0.0205689, 0.0506669, 2.0951576, -3.9624965, 3.9256146, -1.9956006], atol=1e-6
    )
    assert not np.allclose(mixture_points(GRID, seed=1)[0][:3].ravel(), first)


def test_a_spiral_has_two_arms() -> None:
    source = open_data("spiral")
    points = source.fetch(tf.range(source.size)).numpy().reshape(-1, 2).astype(np.float64)
    assert source.labels is not None
    assert np.bincount(source.labels).min() > 49_000
    # Turned by half a circle, the second arm lies on the first: the angle follows from the radius.
    points[source.labels == 1] *= -1
    radius = np.linalg.norm(points, axis=1)
    outside = radius > 0.3
    off = np.angle(np.exp(1j * (np.arctan2(points[:, 1], points[:, 0]) - 3 * np.pi * radius)))[outside]
    assert np.abs(off * radius[outside]).max() < 0.02 * 6 * 10
    assert np.abs(off).mean() < 0.3
    assert radius.max() < 1.1


def test_a_swiss_roll_has_no_classes() -> None:
    source = open_data("swissroll")
    points = source.fetch(tf.range(source.size)).numpy().reshape(-1, 2)
    radius = np.linalg.norm(points, axis=1) * 7.5
    assert 1.5 * np.pi - 1.5 < radius.min() < radius.max() < 4.5 * np.pi + 1.5
    assert (source.labels, source.class_names) == (None, ())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", DataFormat(16, 1)),
        ("mnist", DataFormat(32, 1)),
        ("fashion_mnist", DataFormat(32, 1)),
        ("svhn", DataFormat(32, 3)),
        ("cifar10", DataFormat(32, 3)),
        ("ring", DataFormat(1, 2, bounded=False)),
        ("folder:.", DataFormat(64, 3)),
        (f"tfrecord:{__file__}", DataFormat(64, 3)),
    ],
)
def test_the_format_is_known_before_anything_is_read(name: str, expected: DataFormat) -> None:
    assert replace(data_format(name), class_names=()) == expected


@pytest.mark.parametrize("name", ["digits", "ring", "grid", "spiral", "swissroll"])
def test_the_classes_are_known_before_anything_is_read(name: str) -> None:
    assert class_names(name) == open_data(name).class_names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "unknown data set 'digit', expected one of: .*did you mean 'digits'?"),
        ("", "unknown data set ''"),
        ("folder", "did you mean 'folder:PATH'?"),
        ("folder:/no/such", "received '/no/such'; no folder is there"),
        ("folder:", "received ''; no folder is there"),
        (f"folder:{__file__}", "no folder is there"),
        ("tfrecord:/no/*.tfrecord", "no file matches it"),
        ("tfrecord:", "received ''; no file matches it"),
        ("directory:/tmp", "unknown data set 'directory:/tmp'"),
    ],
)
def test_what_is_wrong_with_a_name_is_told_by_the_name(name: str, message: str) -> None:
    for function in (data_format, open_data):
        with pytest.raises(UsageError, match=message) as caught:
            function(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("digits", {"image_size": 0}, "expected the image size 1 or more, received 0"),
        ("ring", {"image_size": 8}, "expected the image size 1 of ring, received 8"),
        ("digits", {"channels": 3}, "expected 1 channels of digits, received 3"),
        ("folder:.", {"channels": 2}, "expected 1 or 3 channels of folder:., received 2"),
    ],
)
def test_a_shape_that_a_set_cannot_have(name: str, asked: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_data(name, **asked)  # type: ignore[arg-type]


def test_a_format_is_told_without_tensorflow(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from gannet_training.data import data_format, open_data\n"
        "names = ['digits', 'svhn', 'folder:' + sys.argv[1], 'tfrecord:' + sys.argv[0]]\n"
        "print([data_format(name).image_size for name in names[:3]])\n"
        "print('tensorflow' in sys.modules, 'scipy' in sys.modules, 'sklearn' in sys.modules)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[16, 32, 64]\nFalse False False\n"
