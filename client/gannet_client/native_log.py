"""Quiet starts of native libraries, so that stderr holds what a user can act upon."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_ONLY: Final = "2"
_FATAL_ONLY: Final = "3"


@contextmanager
def quiet_native_log(*, errors: bool = True) -> Iterator[None]:
    """Drop what native code writes to stderr in this block.

    TensorFlow writes some lines before it reads its own log level. A user who sets `TF_CPP_MIN_LOG_LEVEL`
    gets everything as it comes; otherwise the level becomes errors only, and this block is silent. What goes
    wrong arrives as an exception. Affects the whole process: meant for the start of a program.

    Args:
        errors: whether later errors are written; if not, the level becomes that of fatal ones.
    """
    if _LEVEL in os.environ:
        yield
        return
    os.environ[_LEVEL] = _ERRORS_ONLY if errors else _FATAL_ONLY
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if sys.stderr is None:  # closed before the program began: there is nothing to silence
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
