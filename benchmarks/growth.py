"""Calls per second and p99 of the embedded server as it grows: callers, models, versions, payload.

A tiny network, load from another process. Along each axis `ratio` is the calls per second at its far end over
those at its near end; `detail` has both numbers for every point.
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from load import Load, Measured, gannet, load
from served import request_for, write_version

CALLS, CALLERS = 2000, 8
AXES = {"callers": (1, 4, 16, 64), "models": (1, 4, 16), "versions": (1, 4, 16), "rows": (1, 16, 256, 4096)}
THREADS = "--grpc_max_threads=64"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, load() as callers:
        models = Path(folder)
        write_models(models)
        with gannet(THREADS, f"--model_config_file={models / 'config'}") as server:
            for axis, points in AXES.items():
                for point in points:
                    measure(server.address, callers, axis, point)
                report(axis, {point: measure(server.address, callers, axis, point) for point in points})


def measure(address: str, callers: Load, axis: str, point: int) -> Measured:
    requests = list(requests_for(axis, point))
    count = point if axis == "callers" else CALLERS
    return callers.calls(address, requests, count, max(CALLS // (point if axis == "rows" else 1), 100))


def requests_for(axis: str, point: int) -> Iterable[bytes]:
    """What the callers send in turn."""
    for number in range(point if axis in ("models", "versions") else 1):
        request = request_for(f"model{number}" if axis == "models" else "model0", 1)
        if axis == "rows":
            request = request_for("model0", point)
        if axis == "versions":
            request.model_spec.version.value = number + 1
        yield request.SerializeToString()


def write_models(models: Path) -> None:
    """The first model has several versions."""
    entries = []
    for number in range(max(AXES["models"])):
        base_path = models / f"model{number}"
        base_path.mkdir()
        for version in range(1, 1 + (1 if number else max(AXES["versions"]))):
            write_version(base_path / str(version), float(version))
        entries.append(
            f'config {{ name: "model{number}" base_path: "{base_path}" model_platform: "tensorflow" '
            "model_version_policy { all {} } }"
        )
    (models / "config").write_text(f"model_config_list {{ {' '.join(entries)} }}")


def report(axis: str, points: dict[int, Measured]) -> None:
    measured = list(points.values())
    detail = {
        "calls per second": {point: round(each.rate) for point, each in points.items()},
        "p99 in ms": {point: round(each.quantile(0.99) * 1e3, 2) for point, each in points.items()},
    }
    ratio = round(measured[-1].rate / measured[0].rate, 3)
    print(json.dumps({"name": f"growth_{axis}", "ratio": ratio, "unit": "1", "detail": detail}), flush=True)


if __name__ == "__main__":
    main()
