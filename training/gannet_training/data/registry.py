"""Data sets by name. Importing this imports no TensorFlow, so that a wrong name is told at once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gannet_client.errors import UsageError
from gannet_training.choices import choose
from gannet_training.data import cifar, digits, svhn
from gannet_training.data.arrays import numbered
from gannet_training.data.errors import shown
from gannet_training.data.folder import check_folder, folder_classes, open_folder
from gannet_training.data.mnist import FASHION_MNIST, MNIST
from gannet_training.data.own import open_own
from gannet_training.data.source import ImageSource, in_memory
from gannet_training.data.tfrecord import check_glob, open_tfrecord, tfrecord_classes
from gannet_training.data.toy import GRID, POINTS_OF, RING
from gannet_training.imports import is_reference


@dataclass(frozen=True)
class DataFormat:
    """What is known of a set before it is opened.

    Attributes:
        image_size: side of the images, in pixels, unless another one is asked for.
        channels: 1 (grey) or 3 (RGB), unless another number is asked for; 2 for the points of a toy mixture.
        bounded: whether the values stay within [-1, 1]. The points of a toy mixture do not: a generator of
            them needs a linear output.
        class_names: of a known set; empty where it has no classes, or has to be looked into for them, see
            :func:`class_names`.
    """

    image_size: int
    channels: int
    bounded: bool = True
    class_names: tuple[str, ...] = ()


Open = Callable[[int, Path | None], ImageSource]

ENCODED = DataFormat(64, 3)
"""Of folders and TFRecord files, whose images come in all sizes."""
_MODES = {"ring": len(RING.means), "grid": len(GRID.means), "spiral": 2, "swissroll": 0}


def _points(name: str) -> tuple[DataFormat, Open]:
    class_names = numbered(_MODES[name])

    def open_points(image_size: int, root: Path | None = None) -> ImageSource:
        points, labels = POINTS_OF[name]()
        return in_memory(points.reshape(-1, 1, 1, 2), labels, class_names)

    return DataFormat(1, 2, bounded=False, class_names=class_names), open_points


DATA_SETS: dict[str, tuple[DataFormat, Open]] = {
    "digits": (DataFormat(16, 1, class_names=digits.CLASS_NAMES), digits.open_digits),
    "mnist": (DataFormat(32, 1, class_names=MNIST.class_names), MNIST.open),
    "fashion_mnist": (DataFormat(32, 1, class_names=FASHION_MNIST.class_names), FASHION_MNIST.open),
    "svhn": (DataFormat(32, 3, class_names=svhn.CLASS_NAMES), svhn.open_svhn),
    "cifar10": (DataFormat(32, 3, class_names=cifar.CLASS_NAMES), cifar.open_cifar10),
    **{name: _points(name) for name in POINTS_OF},
}
_PATTERNS = ("folder:PATH", "tfrecord:GLOB")


def data_format(name: str) -> DataFormat:
    """Tell the format of a set by its name; fast, and without TensorFlow.

    Raises:
        UsageError: there is no set of that name (the message lists the known ones), no folder, or no file.

    Example:
        >>> data_format("swissroll")
        DataFormat(image_size=1, channels=2, bounded=False, class_names=())
    """
    kind, place = _split(name)
    if kind == "folder":
        check_folder(place)
        return ENCODED
    if kind == "tfrecord":
        check_glob(place)
        return ENCODED
    if kind == "own":
        source = open_own(place)
        side, _, channels = source.image_shape
        return DataFormat(side, channels, class_names=source.class_names)
    known = {known_name: known_format for known_name, (known_format, _) in DATA_SETS.items()}
    return choose("data set", name, known | dict.fromkeys(_PATTERNS, ENCODED))


def class_names(name: str) -> tuple[str, ...]:
    """Name the classes of a set, by label; without its files where it is a known one.

    Returns:
        A name for each of the K classes; empty if the images have no labels.

    Raises:
        UsageError: no such set or place.
        DataError: a folder or file cannot be read.

    Example:
        >>> class_names("svhn")[-1], class_names("swissroll")
        ('9', ())
    """
    kind, place = _split(name)
    if kind == "folder":
        return folder_classes(place)
    if kind == "tfrecord":
        return tfrecord_classes(place)
    return data_format(name).class_names


def open_data(
    name: str,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    root: Path | None = None,
    index: Path | None = None,
) -> ImageSource:
    """Open a data set.

    Args:
        name: `digits`, `mnist`, `fashion_mnist`, `svhn`, `cifar10`, `ring`, `grid`, `spiral`, `swissroll`,
            `folder:PATH`, `tfrecord:GLOB`, or `package.module:function`, see :func:`.own.open_own`.
        image_size: side of the images in pixels; by default the set's own, see :func:`data_format`.
        channels: 1 or 3, which only folders and TFRecord files leave open.
        root: a folder to look into for the files of a known set, before `$GANNET_DATA`. A set that is in
            neither is downloaded there.
        index: where a folder or TFRecord set keeps the list of its good items: made by the first call, and
            from then on the definition of the set.

    Returns:
        The images, as pure functions of their index.

    Raises:
        UsageError: no such set, size or place.
        DataError: its files are damaged, have changed, or cannot be downloaded.

    Example:
        >>> digits = open_data("digits", image_size=8)
        >>> digits.size, digits.image_shape, digits.fetch([0]).shape
        (1797, (8, 8, 1), TensorShape([1, 8, 8, 1]))
    """
    known = data_format(name)
    size = known.image_size if image_size is None else image_size
    depth = known.channels if channels is None else channels
    _check_shape(name, known, size, depth)
    kind, place = _split(name)
    if kind == "folder":
        return open_folder(place, size, depth, index)
    if kind == "tfrecord":
        return open_tfrecord(place, size, depth, index)
    if kind == "own":
        return open_own(place)
    return DATA_SETS[name][1](size, root)


def _split(name: str) -> tuple[str, str]:
    """Part the kind from the place; an empty kind: the name of a known set."""
    kind, colon, place = name.partition(":")
    if colon and kind in ("folder", "tfrecord"):
        return ("", name) if name in _PATTERNS else (kind, place)
    return ("own", name) if is_reference(name) else ("", name)


def _check_shape(name: str, known: DataFormat, image_size: int, channels: int) -> None:
    fixed = not known.bounded or is_reference(name)
    if image_size < 1 or (fixed and image_size != known.image_size):
        expected = f"{known.image_size} of {shown(name)}" if fixed else "1 or more"
        raise UsageError(
            f"expected the image size {expected}, received {image_size}; leave it to the data set"
        )
    if channels not in ((1, 3) if known == ENCODED else (known.channels,)):
        expected = "1 or 3" if known == ENCODED else str(known.channels)
        raise UsageError(f"expected {expected} channels of {shown(name)}, received {channels}")
