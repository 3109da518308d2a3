"""What native code writes while it loads is dropped; everything else is heard."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from gannet_client.native_log import quiet_native_log
with quiet_native_log():
    os.write(2, b"chatter\\n")
os.write(2, b"native\\n")
print("python", file=sys.stderr)
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""

SCRIPT_WITHOUT_STDERR = """
import os
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
from gannet_client.native_log import quiet_native_log
with quiet_native_log():
    print("inside")
"""


@pytest.mark.parametrize(("level", "heard"), [(None, "native\npython\n"), ("0", "chatter\nnative\npython\n")])
def test_chatter_is_dropped_unless_the_user_asks_for_it(level: str | None, heard: str) -> None:
    surroundings = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        surroundings["TF_CPP_MIN_LOG_LEVEL"] = level
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=surroundings, capture_output=True, text=True, check=True
    )
    assert (ended.stderr, ended.stdout) == (heard, f"{level or '2'}\n")


def test_a_stderr_that_is_closed_needs_no_silence() -> None:
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", SCRIPT_WITHOUT_STDERR],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (0, "inside\n")
