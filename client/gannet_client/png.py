"""Text in PNG files, without Pillow: the one record that says how an image was drawn."""

import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TEXT: Final = b"tEXt"
_END: Final = b"IEND"
_LAST: Final = b"\0\0\0\0" + _END + zlib.crc32(_END).to_bytes(4)
_BEHIND_HEADER: Final = len(_SIGNATURE) + 25  # the chunk IHDR is the first, and as long as that
_LONGEST_TEXT: Final = 1 << 16


def add_text(png: bytes, keyword: str, text: str) -> bytes:
    """The PNG file with a text in it; its pixels, and all else, stay as they are.

    Args:
        png: The file.
        keyword: What the text is called, up to 79 characters of ASCII.
        text: ASCII.

    Raises:
        ValueError: It is no PNG file.
    """
    if png[: len(_SIGNATURE)] != _SIGNATURE or len(png) < _BEHIND_HEADER:
        raise ValueError("expected a PNG file; received other bytes")
    body = _TEXT + keyword.encode("ascii") + b"\0" + text.encode("ascii")
    chunk = (len(body) - len(_TEXT)).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
    return png[:_BEHIND_HEADER] + chunk + png[_BEHIND_HEADER:]


def read_text(file: BinaryIO, keyword: str) -> str | None:
    """The text of that keyword in a PNG file; None where there is none.

    Args:
        file: The file, at its beginning; what is no text is skipped unread.
        keyword: As for `add_text`.

    Raises:
        ValueError: It is no PNG file, or a broken one.

    >>> import io
    >>> from gannet_client.images import encode_png
    >>> import numpy as np
    >>> png = add_text(encode_png(np.zeros((2, 2, 3), np.uint8)), "title", "black")
    >>> read_text(io.BytesIO(png), "title")
    'black'
    """
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        raise ValueError("expected a PNG file; received other bytes")
    begin = keyword.encode("ascii") + b"\0"
    texts = (body for body in _texts(file) if body.startswith(begin))
    found = next(texts, None)
    return None if found is None else found[len(begin) :].decode("latin-1")


def is_whole(file: BinaryIO) -> bool:
    """Whether a PNG file goes to its end: one that was cut off begins like the whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - len(_LAST), 0))
    return file.read() == _LAST


def _texts(file: BinaryIO) -> Iterator[bytes]:
    """The bodies of the chunks `tEXt`."""
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("the PNG file breaks off")
        length, kind = int.from_bytes(head[:4]), head[4:]
        if kind == _END:
            return
        if kind != _TEXT or length > _LONGEST_TEXT:
            file.seek(length + 4, 1)
            continue
        body = file.read(length)
        if zlib.crc32(kind + body).to_bytes(4) != file.read(4):
            raise ValueError("a text of the PNG file is damaged")
        yield body
