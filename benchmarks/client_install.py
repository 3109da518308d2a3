"""What the client costs: the disk that a base install takes, and the seconds of its import.

Installs the project without extras into an empty directory and adds up all files. Imports run in fresh
processes, turn by turn: `from gannet_client import Client`, which brings gRPC, against `import tensorflow`.
`ratio` is the other's time over ours. Exits with 1 above 110 MB or below 10.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES, LEAST_RATIO, TURNS = 110_000_000, 10, 7
OURS, PACKAGE, THEIRS = "from gannet_client import Client", "import gannet_client", "import tensorflow"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        size = base_install(Path(folder))
    turns = [[seconds(program) for program in (OURS, PACKAGE, THEIRS)] for _ in range(TURNS + 1)][1:]
    ours, package, theirs = map(statistics.median, zip(*turns, strict=True))
    ratio = statistics.median(theirs / ours for ours, _, theirs in turns)
    detail = {
        "compared with": THEIRS,
        "bounds": {"megabytes": MOST_BYTES / 1e6, "ratio": LEAST_RATIO},
        "megabytes": round(size / 1e6, 1),
        "seconds": {OURS: round(ours, 3), PACKAGE: round(package, 3), THEIRS: round(theirs, 3)},
    }
    print(json.dumps({"name": "client_install", "ratio": round(ratio, 2), "unit": "1", "detail": detail}))
    sys.exit(size > MOST_BYTES or ratio < LEAST_RATIO)


def base_install(folder: Path) -> int:
    """Installs into the folder; the bytes of all files."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--target", str(folder)]
    subprocess.run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(ROOT)], check=True)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def seconds(program: str) -> float:
    """Of an interpreter that runs the program, less those of one that runs nothing."""
    return wall([sys.executable, "-c", program]) - wall([sys.executable, "-c", "pass"])


def wall(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
