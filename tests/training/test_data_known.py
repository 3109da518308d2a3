"""Known sets, read from small files that the tests write in the published formats."""

import gzip
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.io import savemat

from gannet_client.errors import GannetError
from gannet_training.data import DataError, ImageSource, open_data
from gannet_training.run import Run

RANDOM = np.random.RandomState(1)
COUNT = 20
GREY = RANDOM.randint(0, 256, [COUNT, 28, 28]).astype(np.uint8)
COLOUR = RANDOM.randint(0, 256, [COUNT, 32, 32, 3]).astype(np.uint8)
LABELS = (np.arange(COUNT) % 10).astype(np.uint8)


def pixels(source: ImageSource) -> np.ndarray:
    images = source.fetch(tf.range(source.size)).numpy()
    return np.round((images + 1) * 127.5).astype(np.uint8)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(folder: Path, pack: Callable[[bytes], bytes] = bytes, suffix: str = "") -> None:
    write(folder / f"train-images-idx3-ubyte{suffix}", pack(idx(GREY)))
    write(folder / f"train-labels-idx1-ubyte{suffix}", pack(idx(LABELS)))


def write_svhn(path: Path, images: np.ndarray = COLOUR, labels: np.ndarray | None = None) -> None:
    ten_is_zero = np.where(LABELS == 0, 10, LABELS)[:, None] if labels is None else labels
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"X": images.transpose(1, 2, 3, 0), "y": ten_is_zero}, do_compression=True)


def python_batch(part: slice, protocol: int = 2) -> bytes:
    planes = COLOUR[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
    content = {b"data": planes, b"labels": LABELS[part].tolist(), b"batch_label": b"training batch"}
    return pickle.dumps(content, protocol)


def python_2_batch(part: slice) -> bytes:
    """As the published file: text and bytes are Python 2's strings, the array NumPy 1's."""
    planes = COLOUR[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
    rows, content = len(planes), planes.tobytes()

    def string(text: bytes) -> bytes:
        return b"T" + len(text).to_bytes(4, "little") + text

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN" + number(-1) * 2 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    array += b"(K\x01(" + number(rows) + number(3072) + b"t" + kind + b"\x89" + string(content) + b"tb"
    labels = b"](" + b"".join(number(int(label)) for label in LABELS[part]) + b"e"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + labels + b"u."


def binary_batch(part: slice) -> bytes:
    planes = COLOUR[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
    return np.concatenate([LABELS[part, None], planes], axis=1).tobytes()


PARTS = [slice(start, start + 4) for start in range(0, COUNT, 4)]


def write_batches(folder: Path, batch: Callable[[slice], bytes], suffix: str = "") -> None:
    for number, part in enumerate(PARTS, 1):
        write(folder / f"data_batch_{number}{suffix}", batch(part))


def write_archive(path: Path, folder: str, batch: Callable[[slice], bytes], suffix: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for number, part in [(0, PARTS[0]), *enumerate(PARTS, 1)]:
            content = batch(part)
            member = tarfile.TarInfo(
                f"{folder}/data_batch_{number}{suffix}" if number else f"{folder}/test_batch"
            )
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture(autouse=True)
def nothing_else_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANNET_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


MNIST_FORMS: dict[str, Callable[[Path], None]] = {
    "idx": lambda data: write_idx(data / "mnist"),
    "gzipped": lambda data: write_idx(data / "mnist", gzip.compress, ".gz"),
    "gzipped, without the suffix": lambda data: write_idx(data / "mnist", gzip.compress),
    "npz": lambda data: np.savez(
        data / "mnist.npz", x_train=GREY, y_train=LABELS, x_test=GREY, y_test=LABELS
    ),
}


@pytest.mark.parametrize("form", MNIST_FORMS)
def test_mnist_in_all_its_forms(tmp_path: Path, form: str) -> None:
    (tmp_path / "data").mkdir()
    MNIST_FORMS[form](tmp_path / "data")
    source = open_data("mnist", image_size=28)
    np.testing.assert_array_equal(pixels(source), GREY[..., None])
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.class_names == tuple("0123456789")


def test_fashion_mnist_is_not_taken_for_mnist(tmp_path: Path) -> None:
    write_idx(tmp_path / "data" / "fashion_mnist")
    source = open_data("fashion_mnist", image_size=28)
    np.testing.assert_array_equal(pixels(source), GREY[..., None])
    assert source.class_names[-1] == "Ankle boot"
    write_idx(tmp_path / "other")
    with pytest.raises(DataError, match=r"cannot download .*train-images-idx3-ubyte.gz"):
        open_data("mnist", root=tmp_path / "other")


def test_images_are_resized_as_tensorflow_would(tmp_path: Path) -> None:
    smooth = np.tile(np.arange(28, dtype=np.uint8) * 9, [3, 28, 1])
    np.savez(write(tmp_path / "data/mnist.npz", b""), x_train=smooth, y_train=LABELS[:3])
    source = open_data("mnist")
    assert source.image_shape == (32, 32, 1)
    expected = tf.image.resize(smooth[..., None], (32, 32)).numpy()
    for _ in range(2):  # read, then kept
        assert np.abs(pixels(source).astype(float) - expected).max() <= 1


def test_the_classes_of_svhn_are_learned_by_the_command(tmp_path: Path, gannet: Any) -> None:
    write_svhn(tmp_path / "data" / "svhn" / "train_32x32.mat")
    settings = ("--steps", 2, "--batch-size", 4, "--width", 4, "--latent-dim", 5)
    code, _, error = gannet("train", "cgan", "--data", "svhn", "--out", tmp_path / "run", *settings)
    assert code == 0, error
    assert Run(tmp_path / "run").config().class_names == tuple("0123456789")


def test_svhn_turns_its_axes_and_calls_class_ten_zero(tmp_path: Path) -> None:
    write_svhn(tmp_path / "data" / "svhn" / "train_32x32.mat")
    source = open_data("svhn")
    np.testing.assert_array_equal(pixels(source), COLOUR)
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.class_names == tuple("0123456789")


CIFAR_FORMS: dict[str, Callable[[Path], None]] = {
    "python batches": lambda data: write_batches(data / "cifar-10-batches-py", python_2_batch),
    "written by Python 3": lambda data: write_batches(data / "cifar-10-batches-py", python_batch),
    "in protocol 3": lambda data: write_batches(data, lambda part: python_batch(part, 3)),
    "binary batches": lambda data: write_batches(data / "cifar-10-batches-bin", binary_batch, ".bin"),
    "loose": lambda data: write_batches(data / "cifar10", binary_batch, ".bin"),
    "archive": lambda data: write_archive(
        data / "cifar-10-python.tar.gz", "cifar-10-batches-py", python_2_batch
    ),
    "binary archive": lambda data: write_archive(
        data / "cifar10/cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary_batch, ".bin"
    ),
}


@pytest.mark.parametrize("form", CIFAR_FORMS)
def test_cifar_in_all_its_forms(tmp_path: Path, form: str) -> None:
    CIFAR_FORMS[form](tmp_path / "data")
    source = open_data("cifar10")
    np.testing.assert_array_equal(pixels(source), COLOUR)
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.class_names[3] == "cat"


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    pickle.loads(pickle.dumps(Bomb(trace)))
    trace.rmdir()  # so the bomb works
    bombs = [{b"data": Bomb(trace)}, {b"data": np.array([Bomb(trace)], object), b"labels": [0]}]
    for bomb in bombs:
        write_batches(tmp_path / "data", lambda _, bomb=bomb: pickle.dumps(bomb, 2))  # type: ignore[misc]
        with pytest.raises(
            DataError, match=r"data_batch_1: it asks for \w+\.mkdir, which no CIFAR batch does"
        ):
            open_data("cifar10")
    assert not trace.exists()


@pytest.mark.parametrize(
    "target", ["numpy.testing runstring", "builtins eval", "numpy frombuffer", "os system"]
)
def test_only_the_names_that_the_format_needs_are_known(tmp_path: Path, target: str) -> None:
    module, name = target.split()
    program = f"c{module}\n{name}\n(S'0'\ntR.".encode()
    write_batches(tmp_path / "data", lambda _: program)
    with pytest.raises(DataError, match=f"it asks for {module}.{name}"):
        open_data("cifar10")


def broken_npz(data: Path) -> None:
    content = io.BytesIO()
    np.savez(content, x_train=np.array([{}], object), y_train=LABELS)
    write(data / "mnist.npz", content.getvalue())


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "npz of objects": ("mnist", broken_npz, "cannot read .*mnist.npz: Object arrays cannot be loaded"),
    "no npz": ("mnist", lambda data: write(data / "mnist.npz", b"PK"), "expected an npz file with x_train"),
    "npz without images": ("mnist", lambda data: np.savez(write(data / "mnist.npz", b""), a=1), "x_train"),
    "too few labels": (
        "mnist",
        lambda data: np.savez(write(data / "mnist.npz", b""), x_train=GREY, y_train=LABELS[1:]),
        r"as many labels from 0 to 9, received uint8 \[20, 28, 28\] and uint8 \[19\]",
    ),
    "wrong side": (
        "mnist",
        lambda data: np.savez(write(data / "mnist.npz", b""), x_train=GREY[:, 1:], y_train=LABELS),
        r"received uint8 \[20, 27, 28\]",
    ),
    "no idx": (
        "fashion_mnist",
        lambda data: write(data / "fashion_mnist/train-images-idx3-ubyte", b"<html>no</html>"),
        "expected an IDX file of unsigned bytes, received b'<htm'",
    ),
    "idx cut off": (
        "fashion_mnist",
        lambda data: write(data / "fashion_mnist/train-images-idx3-ubyte", idx(GREY)[:-1]),
        "expected 15680 bytes for the shape .20, 28, 28., received 15679",
    ),
    "idx too long": (
        "fashion_mnist",
        lambda data: write(data / "fashion_mnist/train-images-idx3-ubyte", idx(GREY) + b"0"),
        "received more",
    ),
    "idx that claims terabytes": (
        "fashion_mnist",
        lambda data: write(data / "fashion_mnist/train-images-idx3-ubyte", b"\0\0\x08\x03" + b"\xff" * 12),
        "received 0",
    ),
    "gzip cut off": (
        "fashion_mnist",
        lambda data: write(data / "fashion_mnist/train-images-idx3-ubyte.gz", gzip.compress(idx(GREY))[:-9]),
        "cannot read .*train-images-idx3-ubyte.gz",
    ),
    "empty": (
        "fashion_mnist",
        lambda data: write(data / "fashion_mnist/train-images-idx3-ubyte", b""),
        "received b''",
    ),
    "no mat": ("svhn", lambda data: write(data / "train_32x32.mat", b"MATLAB 5.0"), "cannot read .*mat: "),
    "mat cut off": (
        "svhn",
        lambda data: (
            write_svhn(data / "a.mat"),
            write(data / "train_32x32.mat", (data / "a.mat").read_bytes()[:900]),
        ),
        "delete it and it is downloaded again",
    ),
    "mat of another set": (
        "svhn",
        lambda data: write_svhn(data / "train_32x32.mat", COLOUR[:, :16]),
        r"expected X uint8 \[32, 32, 3, N\].*received uint8 \[16, 32, 3, 20\] and uint8 \[20, 1\]",
    ),
    "mat with too high a label": (
        "svhn",
        lambda data: write_svhn(data / "train_32x32.mat", COLOUR, np.full([COUNT, 1], 11)),
        "y .N, 1. from 1 to 10",
    ),
    "a batch is missing": (
        "cifar10",
        lambda data: (write_batches(data, python_batch), (data / "data_batch_3").unlink()),
        "received data_batch_1, data_batch_2, data_batch_4, data_batch_5; put all of them there",
    ),
    "a folder without batches": (
        "cifar10",
        lambda data: (data / "cifar-10-batches-py").mkdir(parents=True),
        "received none",
    ),
    "a batch is cut off": (
        "cifar10",
        lambda data: write_batches(data, lambda part: binary_batch(part)[:-1], ".bin"),
        "expected records of 3073 bytes, received 12291 bytes in all",
    ),
    "a pickle is cut off": (
        "cifar10",
        lambda data: write_batches(data, lambda part: python_batch(part)[:-20]),
        "data_batch_1: .* expected a python batch of CIFAR-10",
    ),
    "rows of another width": (
        "cifar10",
        lambda data: write_batches(
            data, lambda _: pickle.dumps({b"data": np.zeros([2, 9], np.uint8), b"labels": [0, 1]}, 2)
        ),
        r"expected rows of 3072 bytes and as many labels, received \[2, 9\] and \[2\]",
    ),
    "floats": (
        "cifar10",
        lambda data: write_batches(
            data, lambda _: pickle.dumps({b"data": np.zeros([2, 3072]), b"labels": [0, 1]}, 2)
        ),
        "an array is not of unsigned bytes",
    ),
    "too high a label": (
        "cifar10",
        lambda data: write_batches(data, lambda _: b"\x0b" + bytes(3072), ".bin"),
        "expected labels from 0 to 9, received 11 to 11",
    ),
    "archive cut off": (
        "cifar10",
        lambda data: (
            write_archive(data / "a", "b", python_batch),
            write(data / "cifar-10-python.tar.gz", (data / "a").read_bytes()[:-500]),
        ),
        "cannot read .*cifar-10-python.tar.gz",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, case: str) -> None:
    name, break_it, message = BROKEN[case]
    break_it(tmp_path / "data")
    with pytest.raises(DataError, match=message) as caught:
        open_data(name)
    assert isinstance(caught.value, GannetError)
    assert str(tmp_path) in str(caught.value) or name == "mnist"
    assert "\n" not in str(caught.value)


def test_root_is_looked_into_first(tmp_path: Path) -> None:
    write_svhn(tmp_path / "data" / "train_32x32.mat", 255 - COLOUR)
    write_svhn(tmp_path / "root" / "train_32x32.mat")
    np.testing.assert_array_equal(pixels(open_data("svhn", root=tmp_path / "root")), COLOUR)
    np.testing.assert_array_equal(pixels(open_data("svhn", root=tmp_path / "empty")), 255 - COLOUR)


def test_the_cache_is_used_where_no_folder_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANNET_DATA")
    write_svhn(tmp_path / "cache" / "gannet" / "data" / "svhn" / "train_32x32.mat")
    np.testing.assert_array_equal(pixels(open_data("svhn")), COLOUR)


def test_a_set_that_would_not_fit_is_resized_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gannet_training.data.reading.CACHE_BYTES", COUNT * 64 * 64 * 3 - 1)
    write_svhn(tmp_path / "data" / "train_32x32.mat")
    unkept = open_data("svhn", image_size=64)
    monkeypatch.undo()
    monkeypatch.setenv("GANNET_DATA", str(tmp_path / "data"))
    kept = open_data("svhn", image_size=64)
    for _ in range(2):
        np.testing.assert_array_equal(pixels(unkept), pixels(kept))


def test_svhn_is_trained_on_by_the_command(
    tmp_path: Path, gannet: Callable[..., tuple[int, str, str]]
) -> None:
    write_svhn(tmp_path / "data" / "svhn" / "train_32x32.mat")
    out = tmp_path / "run"
    code, printed, error = gannet(
        *("train", "dcgan", "--data", "svhn", "--out", out, "--strategy", "single"),
        *("--steps", 3, "--batch-size", 8, "--width", 4, "--latent-dim", 8),
    )
    assert code == 0, error
    assert f"{out} is at step 3" in printed
