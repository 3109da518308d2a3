"""Quiet starts of native libraries, so that stderr holds what a user can act upon."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

_LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def quiet_native_log() -> Iterator[None]:
    """Hold back what native code writes to stderr in this block; show it if the block fails.

    TensorFlow writes some lines before it reads its own log level. A user who sets `TF_CPP_MIN_LOG_LEVEL`
    gets everything as it comes; otherwise the level becomes 2, errors only. Affects the whole process: meant
    for the start of a program.
    """
    if _LEVEL in os.environ:
        yield
        return
    os.environ[_LEVEL] = "2"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
