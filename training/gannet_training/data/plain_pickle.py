"""Reading CIFAR's pickles without running what is in them.

A pickle is a program: `pickle.load` of a stranger's file can do anything. The batches of CIFAR are
dictionaries of text, numbers, lists and one array of bytes. For the few names that such a file may mention
there are stand-ins here that keep their arguments and do nothing; any other name is refused.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from gannet_training.data.errors import DataError


class _Array:
    """What an array's pickle says about it."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def values(self) -> np.ndarray:
        """The array, if it is one of unsigned bytes in C order."""
        _, shape, kind, fortran_order, content = self.state
        if kind.code not in ("u1", b"u1") or fortran_order:
            raise ValueError("an array is not of unsigned bytes in C order")
        return np.frombuffer(content, np.uint8).reshape(shape)


class _Kind:
    def __init__(self, code: str | bytes = "", *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for single bytes."""


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise ValueError(f"it asks for {module}.{name}, which no CIFAR batch does") from None


def read_batch(file: Any, path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Read one python batch of CIFAR-10.

    Args:
        file: a binary file.
        path: its name, for the message.

    Returns:
        Rows, uint8 [N, 3072], and labels, int64 [N].

    Raises:
        DataError: the file is damaged, or asks for what no such file needs.
    """
    try:
        content = _Unpickler(file, encoding="bytes").load()
        rows = content[b"data" if b"data" in content else "data"].values()
        labels = content[b"labels" if b"labels" in content else "labels"]
        return rows, np.array(labels, np.int64)
    except Exception as error:  # on broken bytes, the unpickler raises whatever it runs into
        raise DataError(f"cannot read {path}: {error}; expected a python batch of CIFAR-10") from error
