"""What is built installs anywhere; the base install needs no TensorFlow."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.programs import PATIENCE, ROOT

pytestmark = pytest.mark.timeout(1800)

FROM_THE_BASE_INSTALL = """
import json, sys
from gannet_client import Client, GannetError
with Client(sys.argv[1], model="digits") as client:
    images = client.generate(16, seed=7)
try:
    images.pil()
except GannetError as error:
    complaint = str(error)
loaded = [name for name in sys.modules if name.startswith(("tensorflow", "keras"))]
print(json.dumps([images.array.shape, images.array.dtype.name, complaint, loaded]))
"""


class Built(NamedTuple):
    wheel: Path
    sdist: Path


def run(*command: object) -> subprocess.CompletedProcess[str]:
    # Away from this checkout and its environment: what runs is what was installed.
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
        cwd="/",
        env=surroundings,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("dist")
    ended = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    assert ended.returncode == 0, ended.stderr
    return Built(next(out.glob("*.whl")), next(out.glob("*.tar.gz")))


def install(directory: Path, requirement: str) -> Path:
    """A fresh environment with one thing installed; gives its bin directory."""
    venv.create(directory, with_pip=True)
    pip = (directory / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile")
    ended = run(*pip, "-c", ROOT / "constraints.txt", requirement)
    assert ended.returncode == 0, ended.stderr
    return directory / "bin"


def test_the_base_install_draws_images_without_tensorflow(server: str, built: Built, tmp_path: Path) -> None:
    bin_ = install(tmp_path / "base", str(built.wheel))
    ended = run(bin_ / "python", "-W", "error", "-c", FROM_THE_BASE_INSTALL, server)
    assert ended.returncode == 0, ended.stderr
    shape, dtype, complaint, loaded = json.loads(ended.stdout)
    assert (shape, dtype, loaded) == ([16, 16, 16, 1], "uint8", [])
    assert "pip install 'gannet-toolkit[cli]'" in complaint
    listed = json.loads(run(bin_ / "python", "-m", "pip", "list", "--format", "json").stdout)
    assert not [entry for entry in listed if "tensorflow" in entry["name"].lower()]
    for program in ("gannet", "gannet-model-server"):
        ended = run(bin_ / program, "--help")
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
        assert "pip install 'gannet-toolkit[" in ended.stderr


def test_the_sdist_brings_the_command(server: str, built: Built, tmp_path: Path) -> None:
    bin_ = install(tmp_path / "cli", f"{built.sdist}[cli]")
    ended = run(
        *(bin_ / "gannet", "generate", "--server", server, "--model", "digits"),
        *("--seeds", "0-3", "--out", tmp_path / "images", "--json"),
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["version"] == 1
    assert len(list((tmp_path / "images").iterdir())) == 4
    for extra, arguments in (
        ("train", ("train", "dcgan", "--data", "digits", "--out", tmp_path / "run")),
        ("train", ("export", tmp_path, "--models", tmp_path / "models", "--name", "digits")),
        ("serve", ("serve", tmp_path)),
    ):
        ended = run(bin_ / "gannet", *arguments)
        assert ended.returncode == 2
        assert f"pip install 'gannet-toolkit[{extra}]'" in ended.stderr
