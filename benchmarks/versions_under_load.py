"""Versions coming and going every second under 16 callers: 20,000 calls, 60 versions.

`ratio` is the share of calls that met an error or an answer of another version than the response named.
Exits with 1 if that is not 0.
"""

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
from served import request_for, serving, write_version

CALLERS, CALLS, VERSIONS, SECONDS = 16, 20_000, 60, 1.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        base_path, staged = Path(folder) / "gen", Path(folder) / "staged"
        base_path.mkdir()
        staged.mkdir()
        for number in range(1, VERSIONS + 1):
            write_version(staged / str(number), number)
        (staged / "1").rename(base_path / "1")
        flags = ("--model_name=gen", f"--model_base_path={base_path}", f"--grpc_socket_path={folder}/socket")
        with serving("--port=0", f"--grpc_max_threads={CALLERS}", *flags) as served:
            seen = under_load(served.prediction, staged, base_path)
    bad = seen["wrong"] + sum(count for key, count in seen.items() if isinstance(key, grpc.StatusCode))
    calls = sum(seen.values())
    versions = sum(isinstance(key, int) for key in seen)
    detail = {"calls": calls, "versions": VERSIONS, "versions_that_answered": versions, "callers": CALLERS}
    print(json.dumps({"name": "versions_under_load", "ratio": bad / calls, "unit": "1", "detail": detail}))
    sys.exit(bad > 0)


def under_load(prediction: Any, staged: Path, base_path: Path) -> Counter[object]:
    request, stop = request_for("gen", 4), Event()

    def call(calls: int) -> Counter[object]:
        seen = Counter[object]()
        while sum(seen.values()) < calls or not stop.is_set():
            try:
                response = prediction.Predict(request, timeout=30)
            except grpc.RpcError as error:
                seen[error.code()] += 1
                continue
            version = response.model_spec.version.value
            is_right = np.allclose(response.outputs["images"].float_val, 1 + version, rtol=1e-5)
            seen[version if is_right else "wrong"] += 1
        return seen

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(call, CALLS // CALLERS) for _ in range(CALLERS)]
        for number in range(2, VERSIONS + 1):
            (staged / str(number)).rename(base_path / str(number))
            time.sleep(SECONDS)
            shutil.rmtree(base_path / str(number - 1))
        stop.set()
        return sum((caller.result() for caller in callers), Counter())


if __name__ == "__main__":
    main()
