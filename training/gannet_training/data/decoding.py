"""From the bytes of a PNG or JPEG file to a square of pixels."""

import io

import numpy as np
from PIL import ExifTags, Image

from gannet_training.data.errors import DataError

MOST_BYTES = 1 << 28
"""An encoded image of more bytes counts as damaged."""
MOST_PIXELS = 80_000_000
"""An image of more pixels counts as damaged: a few bytes can unfold to gigabytes."""

_FORMATS = ("PNG", "JPEG")
_MODES = {1: "L", 3: "RGB"}
_16_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_WHITE = 255
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn a picture upright, by the value of its EXIF orientation."""

Image.preinit()  # once, before threads decode


def decode(data: bytes, image_size: int, channels: int) -> np.ndarray:
    """Decode an image, crop its central square and resize it.

    The format follows from the content, not from a name. Transparency is laid over white, 16 bits become 8,
    CMYK becomes RGB, and a picture with an EXIF orientation is turned upright. Resizing is Pillow's bicubic
    with antialiasing.

    Args:
        data: a whole PNG or JPEG file.
        image_size: side of the result.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 [image_size, image_size, channels].

    Raises:
        DataError: the bytes are no complete PNG or JPEG image, or too large a one.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(f"{image.width}x{image.height} pixels are more than {MOST_PIXELS:,}")
            image.draft(None, (2 * image_size, 2 * image_size))  # JPEG: no more than is needed
            square = _resize(_opaque(image, _MODES[channels]), image_size)
            return np.asarray(_upright(square, image)).reshape(image_size, image_size, channels)
    except DataError:
        raise
    except Exception as error:  # on broken bytes, Pillow raises whatever its parsers run into
        raise DataError(_reason(error)) from error


def resize(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """Resize one image that is in memory, bilinearly with antialiasing.

    Args:
        pixels: [S, S, C], uint8 with C = 1 or 3, or float32 with C = 1.
        image_size: side of the result.
    """
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    resized = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(image_size, image_size, pixels.shape[-1])


def _opaque(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in _16_BIT_MODES:
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        paper = Image.new("RGBA", picture.size, (_WHITE,) * 4)
        image = Image.alpha_composite(paper, picture)
    return image.convert(mode)


def _resize(image: Image.Image, side: int) -> Image.Image:
    edge = min(image.size)
    left, top = (image.width - edge) / 2, (image.height - edge) / 2
    box = (left, top, left + edge, top + edge)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box)


def _upright(square: Image.Image, source: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(source.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # an unreadable EXIF block: the picture is good, and stays as it is stored
        return square
    return square if turn is None else square.transpose(turn)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "neither PNG nor JPEG"
    return " ".join(f"{error or type(error).__name__}".split())
