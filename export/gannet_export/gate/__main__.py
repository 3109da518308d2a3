"""The gate's process: tries one export per line of its input, each in a fork of its own that may crash."""

import json
import os
import resource
import signal
import sys
import traceback
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

from gannet_export.gate.keeper import LONGEST_TRIAL, last_words
from gannet_export.gate.trial import Trial
from gannet_export.gate.verdict import Verdict


def main() -> None:
    """Answer every trial with a line of JSON: how its process ended, its verdict, its last words."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    # Before the first fork: what is loaded here, no trial has to load again.
    from gannet_export.gate import judging  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_tried(line, answers)), file=answers, flush=True)


def _tried(line: str, answers: IO[str]) -> dict[str, Any]:
    with TemporaryFile() as verdict, TemporaryFile() as words:
        child = os.fork()
        if child == 0:
            answers.close()  # else nobody could tell from outside that this process's parent was killed
            _try(line, verdict, words)
        _, status = os.waitpid(child, 0)
        ended = os.waitstatus_to_exitcode(status)
        verdict.seek(0)
        found = json.load(verdict) if ended == 0 else None
        return {"ended": ended, "verdict": found, "words": last_words(words)}


def _try(line: str, verdict: IO[bytes], words: IO[bytes]) -> NoReturn:
    from gannet_export.gate.judging import findings

    os.dup2(words.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(LONGEST_TRIAL)
    try:
        found = Verdict.of(findings(Trial.of_line(line))).json()
        verdict.write(json.dumps(found).encode())
        verdict.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
