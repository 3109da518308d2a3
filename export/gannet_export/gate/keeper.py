"""The process behind the gate, as seen from the one that exports."""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from tempfile import TemporaryFile
from typing import IO, Any

from gannet_export.gate.trial import Trial
from gannet_export.gate.verdict import Finding, Verdict

LONGEST_TRIAL = 1800
"""Seconds after which a trial that hangs is ended."""
PATIENCE = 5
"""Seconds for a process without work to end."""
REMARKS = ("I0", "W0", "WARNING: All log messages")


class Gatekeeper:
    """A process that tries exports, one after the other.

    It loads TensorFlow as soon as it is made, while this process still prepares the export, and tries each
    in a fork of its own: an export that crashes it is refused, and nothing else happens. It ends with this
    process. It sees no GPU, which this process may have taken for itself.
    """

    def __init__(self) -> None:
        self._words = TemporaryFile()  # noqa: SIM115, closed with the process
        self._lock = threading.Lock()
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            # -P: a folder of the same name in the working directory is not ours.
            [sys.executable, "-P", "-m", "gannet_export.gate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            # One thread of OpenBLAS: a process of many threads should not fork.
            env={
                **os.environ,
                "PYTHONPATH": paths,
                "TF_CPP_MIN_LOG_LEVEL": "1",
                "CUDA_VISIBLE_DEVICES": "-1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            text=True,
            start_new_session=True,  # Ctrl-C is for the process that exports
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can try another export."""
        return self._process.poll() is None

    def judge(self, trial: Trial) -> Verdict:
        """Try an export.

        Returns:
            What was found; a process that crashed is a check that failed.
        """
        with self._lock:
            try:
                answer = self._ask(trial)
            except BaseException:
                self.kill()
                raise
        if answer["verdict"] is not None:
            return Verdict.of_json(answer["verdict"])
        finding = Finding("run", "the whole export", False, "a process that ends by itself", _end(answer))
        return Verdict.of([finding])

    def close(self) -> None:
        """End the process, which has nothing to do."""
        for stream in (self._process.stdin, self._process.stdout, self._words):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # it has ended already
                    stream.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # another process holds the other end of its input
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the process and its trial at once."""
        with contextlib.suppress(ProcessLookupError):  # also a trial whose parent is gone
            os.killpg(self.pid, signal.SIGKILL)
        self.close()

    def _ask(self, trial: Trial) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            print(trial.to_line(), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return dict(json.loads(answer))
        ended, words = self._process.wait(), last_words(self._words)
        self.kill()  # the trial may still run
        return {"ended": ended, "verdict": None, "words": words}


def last_words(file: IO[bytes]) -> str:
    """The last line of what a process wrote, without TensorFlow's remarks on its machine."""
    file.seek(0)
    lines = file.read().decode(errors="replace").splitlines()
    said = [line for line in lines if line.strip() and not line.startswith(REMARKS)]
    return (said or [""])[-1]


_kept: dict[int, Gatekeeper] = {}


def gatekeeper() -> Gatekeeper:
    """The gatekeeper of this process, started if there is none."""
    keeper = _kept.get(os.getpid())
    if keeper is None or not keeper.alive:
        _kept.clear()  # those of a parent process are the parent's
        keeper = _kept[os.getpid()] = Gatekeeper()
        atexit.register(keeper.close)
    return keeper


def _end(answer: dict[str, Any]) -> str:
    ended, words = answer["ended"], answer["words"]
    if ended == -signal.SIGALRM:
        return f"one that had not ended after {LONGEST_TRIAL} s"
    how = f"one ended by {signal.Signals(-ended).name}" if ended < 0 else f"one that failed ({ended})"
    return f"{how}: {words}" if words else how
