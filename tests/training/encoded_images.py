"""Small encoded images for the tests of folders and TFRecord files."""

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from gannet_training.data import ImageSource


def picture(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, [height, width, channels]).astype(np.uint8)


def encode(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array).save(buffer, kind, **options)
    return buffer.getvalue()


def write(path: Path, content: bytes | np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else encode(content))
    return path


def fill(folder: Path, count: int, start: int = 0) -> list[np.ndarray]:
    """Write so many PNG files of random 8x8 pictures; returns the pictures."""
    pictures = [picture(start + number) for number in range(count)]
    for number, array in enumerate(pictures):
        write(folder / f"{start + number:03d}.png", array)
    return pictures


def pixels(source: ImageSource, rows: list[int] | None = None) -> np.ndarray:
    images = source.fetch(tf.constant(range(source.size) if rows is None else rows, tf.int64)).numpy()
    return np.round((images + 1) * 127.5).astype(np.uint8)
