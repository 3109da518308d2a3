"""stdout and stderr as a program finds them: closed, full, unbuffered, or with a reader that left."""

import io
import os
import sys
from typing import TextIO


def prepare_streams() -> None:
    """Makes stdout and stderr ones that can be used.

    A stream that was closed is put in place, lest the next file that is opened pass for it: stdout refuses
    what is printed, stderr drops it. A stdout without a buffer (`PYTHONUNBUFFERED`) gets one that is flushed
    at each line, because `stdout_is_lost` looks there for what could not be written. What its encoding lacks,
    such as half a character of a path, is escaped, as on stderr.
    """
    if sys.stdout is None:
        sys.stdout = _nowhere(1, os.O_RDONLY)
    elif isinstance(sys.stdout.buffer, io.RawIOBase):
        codec, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(1, "w", buffering=1, encoding=codec, errors=errors, closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:
        sys.stderr = _nowhere(2, os.O_WRONLY)


def stdout_is_lost() -> bool:
    """Whether what was printed can go nowhere; if so, the interpreter's last flush is spared."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _nowhere(number: int, flags: int) -> TextIO:
    opened = os.open(os.devnull, flags)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    return os.fdopen(number, "w", closefd=False)
