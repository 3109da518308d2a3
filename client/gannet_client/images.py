"""Images as arrays: one picture of many, and PNG files (with Pillow, extra `cli`).

An image is uint8 [H, W, C] with C = 1 (grey), 3 (RGB) or 4 (RGB and opacity); several are uint8 [n, H, W, C].
"""

import io
import math
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gannet_client.codec import Array
from gannet_client.errors import UsageError
from gannet_client.extras import missing_extra

if TYPE_CHECKING:
    from PIL.Image import Image

_CHANNELS = (1, 3, 4)


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


def to_pil(image: Array) -> "Image":
    """The image as a Pillow image of mode L, RGB or RGBA.

    Raises:
        UsageError: The array is no image.
        MissingExtra: Pillow is not installed.
    """
    _check(image, rank=3)
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from None
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def encode_png(image: Array) -> bytes:
    """The bytes of a PNG file of one image, uint8 [H, W, C]; errors as for `to_pil`.

    >>> encode_png(np.zeros((8, 8, 3), np.uint8))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def save_png(image: Array, path: str | Path) -> Path:
    """Writes one image, uint8 [H, W, C], as a PNG file and makes its parent directories.

    The file appears when it is complete: where the disk is full, there is the file of before, or none.

    Returns:
        The path.

    Raises:
        UsageError: The array is no image, or the path cannot be written.
        MissingExtra: Pillow is not installed.
    """
    path = Path(path)
    png = encode_png(image)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, png)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write the image {str(path)!r}: {reason}") from error
    return path


def _write(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():  # /dev/stdout and the like are there to be written, not replaced
        path.write_bytes(data)
        return
    target = path.resolve()  # a link stays one
    staged = target.with_name(f".staging-{secrets.token_hex(8)}")
    try:
        staged.write_bytes(data)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)


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
