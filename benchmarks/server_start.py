"""Seconds from the start of `gannet-model-server` to AVAILABLE, beyond those of `import tensorflow`.

The model is the MLP, exported with all of its signatures, and warm-up is off. Server and bare import start
turn by turn, each in a process of its own. `ratio` is the median difference. Exits with 1 above the bound.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from served import serving

BOUND, TURNS = 2.0, 7


def main() -> None:
    with tempfile.TemporaryDirectory() as models, contextlib.redirect_stdout(sys.stderr):
        write_mlp(models)
        pairs = [(seconds_of_server(models), seconds_of_import()) for _ in range(TURNS)]
    beyond = round(statistics.median(server - bare for server, bare in pairs), 3)
    server, bare = (round(statistics.median(side), 3) for side in zip(*pairs, strict=True))
    detail = {"compared with": "import tensorflow", "bound": BOUND, "server_s": server, "import_s": bare}
    print(json.dumps({"name": "server_start", "ratio": beyond, "unit": "s", "detail": detail}))
    sys.exit(beyond > BOUND)


def write_mlp(models: str) -> None:
    from gannet_export import export
    from gannet_training.models.mlp import MLPGenerator

    export(MLPGenerator(image_size=28, channels=1), models, "mlp", latent_dim=100)


def seconds_of_server(models: str) -> float:
    started = time.perf_counter()
    flags = ("--model_name=mlp", f"--model_base_path={models}/mlp", "--enable_model_warmup=false")
    with serving("--port=0", f"--grpc_socket_path={Path(models) / 'socket'}", *flags):
        return time.perf_counter() - started


def seconds_of_import() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
