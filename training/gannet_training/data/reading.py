"""Reading images when they are needed: in parallel, kept while they fit, replaced where one fails."""

import atexit
import functools
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gannet_training.data.errors import DataError

CACHE_BYTES = 1 << 30
"""Sets whose decoded pixels take no more than this, 1 GiB, are kept in memory once they are read."""
LOST_AFTER = 100
"""So many images in a row that cannot be read mean that the set is gone, and stop the training."""

log = logging.getLogger(__name__)


@functools.cache
def threads() -> ThreadPoolExecutor:
    """The threads in which images are decoded; Pillow computes outside of Python's lock."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="gannet-decode")


class _Calls:
    """The calls that TensorFlow's threads make into Python, which must be over when the interpreter ends.

    A pipeline may still fill its buffers then. A thread that asks for Python's lock too late is ended by the
    interpreter, and whoever waits for its result waits for ever: the process would never end.
    """

    _QUIET_SECONDS = 0.25
    _MOST_SECONDS = 10.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = float("-inf")
        atexit.register(self._await_quiet)

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            self._last = time.monotonic()

    def _await_quiet(self) -> None:
        """Let the buffers fill up; then nothing more is asked for."""
        deadline = time.monotonic() + self._MOST_SECONDS
        while (now := time.monotonic()) < deadline:
            if not self._running and now - self._last > self._QUIET_SECONDS:
                return
            time.sleep(self._QUIET_SECONDS / 10)


_calls = _Calls()


class Reader:
    """Reads pixels by index.

    An image that cannot be read is replaced, for as long as the process lives, by the next one that can (of
    the same class, where there are labels), and named in one warning.

    Args:
        read: from an index to uint8 [H, W, C]; raises OSError or DataError where that fails.
        size: how many images there are.
        image_shape: (H, W, C).
        labels: int64 [size], if any.
        name: what to call the image of an index in a warning.
    """

    def __init__(
        self,
        read: Callable[[int], np.ndarray],
        size: int,
        image_shape: tuple[int, int, int],
        labels: np.ndarray | None = None,
        name: Callable[[int], str] = str,
    ) -> None:
        self._read = read
        self._size = size
        self._shape = image_shape
        self._labels = labels
        self._name = name
        self._failed: set[int] = set()
        self._lock = threading.Lock()
        fits = size * int(np.prod(image_shape)) <= CACHE_BYTES
        self._kept = np.empty([size if fits else 0, *image_shape], np.uint8)
        self._is_kept = np.zeros([size], bool)

    def __call__(self, indices: np.ndarray) -> np.ndarray:
        """Read a batch.

        Args:
            indices: int64 [B] in 0 to size - 1.

        Returns:
            uint8 [B, H, W, C].

        Raises:
            IndexError: an index out of range.
            DataError: nothing can be read any more.
        """
        with _calls:
            return self._batch(indices)

    def _batch(self, indices: np.ndarray) -> np.ndarray:
        if len(indices) and not 0 <= indices.min() <= indices.max() < self._size:
            raise IndexError(f"expected indices from 0 to {self._size - 1}, received {indices}")
        if self._is_kept[indices].all():
            return self._kept[indices]
        pixels = np.zeros([len(indices), *self._shape], np.uint8)
        try:
            images = threads().map(self._image, indices.tolist())
        except (
            RuntimeError
        ):  # the interpreter is ending and starts nothing more; nobody will see these pixels
            return pixels
        for row, image in zip(pixels, images, strict=True):
            row[...] = image
        return pixels

    def _image(self, index: int) -> np.ndarray:
        if self._is_kept[index]:
            return self._kept[index]
        image = self._first_readable(index)
        if len(self._kept):
            self._kept[index] = image
            self._is_kept[index] = True
        return image

    def _first_readable(self, index: int) -> np.ndarray:
        for candidate in itertools.islice(self._candidates(index), LOST_AFTER):
            if candidate in self._failed:
                continue
            try:
                return self._read(candidate)
            except (OSError, DataError) as error:
                self._warn(candidate, error)
        raise DataError(
            f"cannot read {self._name(index)} nor any image that could replace it; "
            "bring the data back and start again: training goes on from the last checkpoint"
        )

    def _candidates(self, index: int) -> Iterator[int]:
        following = ((index + step) % self._size for step in range(self._size))
        if self._labels is None:
            return following
        labels = self._labels
        return (candidate for candidate in following if labels[candidate] == labels[index])

    def _warn(self, index: int, error: Exception) -> None:
        with self._lock:
            if index in self._failed:
                return
            self._failed.add(index)
        reason = getattr(error, "strerror", None) or error
        log.warning("cannot read %s: %s; the next image takes its place", self._name(index), reason)
