"""What can be wrong with data, beside how it was asked for."""

import contextlib
import re
from collections.abc import Iterator

from gannet_client.errors import GannetError


class DataError(GannetError):
    """A data set is damaged, incomplete, has changed, or cannot be fetched."""


@contextlib.contextmanager
def data_errors() -> Iterator[None]:
    """Turn what TensorFlow makes of a :class:`DataError` inside of a pipeline back into its one line.

    Raises:
        DataError: one was raised in a pipeline that the block iterates over.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        told = re.search(rf"\b{DataError.__name__}: (.*)", error.message)
        if told is None:
            raise
        raise DataError(told[1]) from error


def shown(path: object) -> str:
    r"""Write a path so that it stays on one line, whatever bytes its name holds.

    Example:
        >>> shown("Bäume/1.png"), shown("a\nb.png")
        ('Bäume/1.png', "'a\\nb.png'")
    """
    text = str(path)
    return text if text.isprintable() else ascii(text)
