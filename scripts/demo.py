"""From real images to a served generator: train, export, serve, ask for images.

Leaves `demo/` behind: samples.png, losses.png, progress.png, the run and the models directory. Another demo
goes on with the run and exports a next version. No process outlives it, however it ends.
"""

import contextlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from PIL import Image
from rich.console import Console
from rich.table import Table

from gannet_client import Client
from gannet_client.cli import run
from gannet_client.errors import GannetError
from gannet_client.images import save_png
from gannet_training.startup import stop_on_signals

DEMO = Path("demo")
RUN, MODELS, NAME = DEMO / "run", DEMO / "models", "digits"
TRAIN = f"train dcgan --data digits --out {RUN} --width 32 --label-smoothing 0.1 --learning-rate 0.0005"
EXPORT = f"export {RUN} --models {MODELS} --name {NAME}"
SERVE = f"serve {MODELS} --port 0"
IMAGES = 64
ZOOM = 3
PATIENCE = 60.0
"""Seconds for a server to load a small model, and for a process to end."""


@click.command()
@click.option("--steps", default=2000, show_default=True, help="Of training.")
def demo(steps: int) -> None:
    """Run the whole path and print where the time went."""
    stop_on_signals()
    table = Table("step", "time", "path")
    gannet_timed(table, "train", f"{TRAIN} --steps {steps}", RUN)
    gannet_timed(table, "export", EXPORT, MODELS / NAME)
    started = time.monotonic()
    with serving() as target, Client(target, model=NAME) as client:
        client.wait_ready(PATIENCE)
        table.add_row("serve", seconds_since(started), target)
        started = time.monotonic()
        images = client.generate(IMAGES, seed=0)
        save_png(images.grid(columns=16), DEMO / "samples.png")
        table.add_row(f"ask for {IMAGES} images", seconds_since(started), f"{DEMO / 'samples.png'}")
    shutil.copy(RUN / "losses.png", DEMO)
    shutil.copy(RUN / "progress.png", DEMO)
    for picture in ("samples.png", "progress.png"):
        enlarge(DEMO / picture)
    for picture in ("losses.png", "progress.png"):
        table.add_row("", "", f"{DEMO / picture}")
    Console().print(table)
    print(f"the images came from version {images.version} of {images.model}")


def gannet_timed(table: Table, step: str, arguments: str, path: Path) -> None:
    """Run a `gannet` command to its end and add its row."""
    started = time.monotonic()
    with process(arguments) as running:
        code = running.wait()
    if code != 0:
        raise GannetError(f"gannet {arguments} ended with exit code {code}")
    table.add_row(step, seconds_since(started), f"{path}")


def enlarge(picture: Path) -> None:
    """Make each of the few pixels visible."""
    with Image.open(picture) as small:
        size = (small.width * ZOOM, small.height * ZOOM)
        large = small.resize(size, Image.Resampling.NEAREST)
    large.save(picture)


def seconds_since(started: float) -> str:
    """Format the time since `started`."""
    return f"{time.monotonic() - started:.1f} s"


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve the models directory on a free port; yields HOST:PORT."""
    with process(SERVE, stdout=subprocess.PIPE, text=True) as server:
        target = server.stdout.readline().strip()
        if not target:
            raise GannetError(f"gannet {SERVE} ended with exit code {server.wait()}")
        yield target


@contextlib.contextmanager
def process(arguments: str, **options: Any) -> Iterator[Any]:
    """Start `gannet` with arguments; whatever happens in the block, it has ended after it."""
    print(f"$ gannet {arguments}", file=sys.stderr)
    program = Path(sys.executable).parent / "gannet"
    child = subprocess.Popen([program, *shlex.split(arguments)], **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(PATIENCE)
        except BaseException:
            child.kill()
            child.wait()
            raise


if __name__ == "__main__":
    run("__main__:demo", "demo")
