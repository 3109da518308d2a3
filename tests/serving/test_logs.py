"""The log of a process, as its reader sees it."""

import json
import subprocess
import sys

PROGRAM = """
import logging
from gannet_serving.logs import configure_logging, flush_log
configure_logging(FORMAT)
log = logging.getLogger("gannet_serving.test")
log.info("model %s: loading", "two\\nlines \\x1b[31m \\udcff")
try:
    raise ValueError("the reason")
except ValueError:
    log.exception("request %s: failed", "r-1")
flush_log(60)
"""


def log_of(log_format: str) -> list[str]:
    program = PROGRAM.replace("FORMAT", repr(log_format))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr.splitlines()


def test_a_name_cannot_make_lines_of_its_own() -> None:
    first, second, *traceback = log_of("text")
    assert first.endswith(r"INFO model two\nlines \x1b[31m \udcff: loading")
    assert second.endswith("ERROR request r-1: failed")
    assert traceback[-1] == "ValueError: the reason"


def test_an_event_is_an_object() -> None:
    first, second = map(json.loads, log_of("json"))
    assert first.keys() == {"time", "level", "message"}
    assert first["message"] == "model two\nlines \x1b[31m \udcff: loading"
    assert (second["level"], second["message"]) == ("ERROR", "request r-1: failed")
    assert second["exception"].endswith("ValueError: the reason")


def test_a_closed_pipe_stops_nobody() -> None:
    program = (
        "import logging, sys\n"
        "from gannet_serving.logs import configure_logging, flush_log\n"
        "configure_logging()\n"
        "sys.stdin.read()\n"
        "for number in range(20_000): logging.getLogger('gannet_serving').info('line %d', number)\n"
        "flush_log(); print('served', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stderr.close()
        process.stdin.close()
        assert process.stdout.read() == "served\n"
        assert process.wait(60) == 0
