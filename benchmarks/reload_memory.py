"""Memory of a server over 50 reloads, each of another set of models, after the first five.

`ratio` is the resident memory after the last reload over that after the fifth. Exits with 1 above the bound.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from served import Served, request_for, serving, write_version

BOUND, EARLY, LATE = 0.03, 5, 55


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        for name in ("even", "odd"):
            (Path(folder) / name).mkdir()
            write_version(Path(folder) / name / "1", 0)
        flags = (
            f"--model_base_path={folder}/even",
            "--model_name=even",
            f"--grpc_socket_path={folder}/socket",
        )
        with serving("--port=0", *flags) as served:
            resident = {count: reload_to(served, folder, count) for count in range(1, LATE + 1)}
    ratio = round(resident[LATE] / resident[EARLY], 4)
    megabytes = {count: resident[count] // 2**20 for count in (1, EARLY, LATE // 2, LATE)}
    detail = {"compared with": f"reload {EARLY}", "bound": 1 + BOUND, "resident_MiB": megabytes}
    print(json.dumps({"name": "reload_memory", "ratio": ratio, "unit": "1", "detail": detail}))
    sys.exit(ratio > 1 + BOUND)


def reload_to(served: Served, folder: str, count: int) -> int:
    """Reloads to the other model, asks it, and waits until the one before it is gone."""
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    name, other = ("odd", "even") if count % 2 else ("even", "odd")
    request = ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name=name, base_path=f"{folder}/{name}", model_platform="tensorflow"
    )
    served.model.HandleReloadConfigRequest(request, timeout=60)
    for _ in range(20):
        served.prediction.Predict(request_for(name, 64), timeout=30)
    while state_of(served.model, other) != [50]:
        pass
    return served.resident()


def state_of(model: Any, name: str) -> list[int]:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    request = GetModelStatusRequest()
    request.model_spec.name = name
    return [entry.state for entry in model.GetModelStatus(request, timeout=30).model_version_status]


if __name__ == "__main__":
    main()
