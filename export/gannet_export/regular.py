"""Files in a directory that anybody may have written: what is no file neither hangs nor leads elsewhere."""

import errno
import os
import stat

_NONE_OF_OURS = (errno.ELOOP, errno.ENXIO)
"""What opening a link, and writing to a FIFO or a socket, comes to."""


def regular(path: str, flags: int) -> int:
    """Open a regular file, as the `opener` of :func:`open`.

    Args:
        path: of the file; the directories above it may be links.
        flags: of `os.open`.

    Raises:
        OSError: it is a link, a FIFO, a device or a directory, or cannot be opened.

    Example:
        >>> open("/dev/null", "rb", opener=regular)
        Traceback (most recent call last):
        OSError: [Errno 22] it is no regular file: '/dev/null'
    """
    try:
        # A FIFO would wait for its other end.
        file = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno in _NONE_OF_OURS:
            raise _not_regular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _not_regular(path)
    return file


def _not_regular(path: str) -> OSError:
    return OSError(errno.EINVAL, "it is no regular file", path)
