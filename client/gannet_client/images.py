"""Images as arrays: one picture of many, and PNG files (with Pillow, extra `cli`).

An image is uint8 [H, W, C] with C = 1 (grey), 3 (RGB) or 4 (RGB and opacity); several are uint8 [n, H, W, C].
"""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from gannet_client.codec import Array
from gannet_client.errors import ModelError, UsageError
from gannet_client.extras import missing_extra
from gannet_client.files import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

_CHANNELS = (1, 3, 4)
_MODES = ("L", "RGB", "RGBA")


def grid(images: Array, columns: int | None = None, padding: int = 2) -> Array:
    """One picture of all images, row by row, on white.

    Args:
        images: uint8 [n, H, W, C], n at least 1.
        columns: Images per row; by default as many as make the grid square.
        padding: White pixels around every image.

    Returns:
        uint8 [rows * (H + padding) + padding, columns * (W + padding) + padding, C].

    Raises:
        UsageError: The array is not of this kind, or columns or padding are out of range.

    >>> grid(np.zeros((5, 8, 8, 1), np.uint8), padding=1).shape
    (19, 28, 1)
    """
    _check(images, rank=4)
    count, height, width, channels = images.shape
    if count == 0:
        raise UsageError("a grid needs at least one image; received none")
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    if columns < 1 or padding < 0:
        raise UsageError(f"a grid needs columns >= 1 and padding >= 0; received {columns} and {padding}")
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height + padding, width + padding, channels), 255, np.uint8)
    cells[:count, padding:, padding:] = images
    picture = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    picture = picture.reshape(rows * cells.shape[1], columns * cells.shape[2], channels)
    return np.pad(picture, ((0, padding), (0, padding), (0, 0)), constant_values=255)


def to_pixels(images: Array, value_range: tuple[float, float] = (-1.0, 1.0)) -> Array:
    """Images of floats as uint8, by the rule of the signature `pixels`; NaN becomes 0.

    Args:
        images: Floats, or uint8, which stay as they are.
        value_range: Which floats become 0 and 255; what is beyond, too.

    Raises:
        UsageError: The array is of another kind.

    >>> to_pixels(np.array([-1, 0, 0.5, 7], np.float32)).tolist()
    [0, 128, 191, 255]
    """
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise UsageError(f"expected images of uint8 or floats; received {images.dtype}")
    low, high = value_range
    within = np.nan_to_num(np.clip(images.astype(np.float32), low, high), nan=low)
    pixels: Array = np.rint((within - low) * (255 / (high - low))).astype(np.uint8)
    return pixels


def to_pil(image: Array) -> "Image":
    """The image as a Pillow image of mode L, RGB or RGBA.

    Raises:
        UsageError: The array is no image.
        MissingExtra: Pillow is not installed.
    """
    _check(image, rank=3)
    picture: Image = _pillow().fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    return picture


def decode_pngs(files: Sequence[bytes]) -> Array:
    """The pixels of PNG files of one size: uint8 [n, H, W, C].

    Raises:
        ModelError: One cannot be read, or has another size than the others.
        MissingExtra: Pillow is not installed.
    """
    decoded = [_decode_png(file) for file in files]
    if len({image.shape for image in decoded}) > 1:
        raise ModelError("expected images of one size; received several sizes")
    return np.stack(decoded) if decoded else np.empty((0, 0, 0, 1), np.uint8)


def encode_png(image: Array) -> bytes:
    """The bytes of a PNG file of one image, uint8 [H, W, C]; errors as for `to_pil`.

    >>> encode_png(np.zeros((8, 8, 3), np.uint8))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_gif(images: Array, milliseconds: int) -> bytes:
    """The bytes of a GIF file that shows images, uint8 [n, H, W, C], one after another without end.

    Args:
        images: n at least 1.
        milliseconds: How long each is shown.

    Raises:
        UsageError: The array is not of this kind.
        MissingExtra: Pillow is not installed.
    """
    _check(images, rank=4)
    first, *others = map(to_pil, images)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0, disposal=2)
    return buffer.getvalue()


def save_png(image: Array, path: str | Path) -> Path:
    """Writes one image, uint8 [H, W, C], as a PNG file and makes its parent directories.

    The file appears when it is complete.

    Returns:
        The path.

    Raises:
        UsageError: The array is no image, or the path cannot be written.
        MissingExtra: Pillow is not installed.
    """
    return write_bytes(path, encode_png(image))


def _decode_png(file: bytes) -> Array:
    pillow = _pillow()
    try:
        with pillow.open(io.BytesIO(file), formats=["PNG"]) as image:
            picture = image if image.mode in _MODES else image.convert("RGBA")
            return np.asarray(picture).reshape(picture.height, picture.width, -1)
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise ModelError(f"expected an image as a PNG file; received {len(file)} bytes: {error}") from error


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from None
    return Image


def _check(array: Array, rank: int) -> None:
    if (
        array.dtype == np.uint8
        and array.ndim == rank
        and array.shape[-1] in _CHANNELS
        and all(array.shape[-3:])
    ):
        return
    expected = "uint8 [n, H, W, C]" if rank == 4 else "uint8 [H, W, C]"
    raise UsageError(
        f"expected {expected} with C one of {_CHANNELS}; received {array.dtype} {list(array.shape)}"
    )
