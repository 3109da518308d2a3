"""The images of the training job, the export and the client."""

import json
import subprocess
from pathlib import Path

import pytest

from gannet_client.contract import CARD_FILE
from tests.docker.conftest import CONFINED, ROOT, build, clone, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first build brings TensorFlow


def test_a_generator_is_trained_and_exported(exported: Path) -> None:
    card = json.loads((exported / "digits" / "1" / CARD_FILE).read_text())
    assert (card["family"], card["training"]["data"]) == ("dcgan", "digits")


def test_a_full_volume_takes_no_half_of_a_version(exported: Path) -> None:
    run = exported.parent / "run"
    done = subprocess.run(
        [
            *("docker", "run", "--rm", *CONFINED, "--volume", f"{run}:/work/run:ro"),
            *("--tmpfs", "/work/models:size=64k,mode=1777", "--entrypoint", "sh", "gannet-export:test", "-c"),
            "gannet export run --models models --name digits; echo $?; find models -name '[0-9]*'",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1"], done.stdout
    assert "No space left on device" in done.stderr.splitlines()[-1]


def test_none_runs_as_root(client_image: str, exported: Path) -> None:
    for image in (client_image, "gannet-train:test", "gannet-export:test"):
        assert docker("image", "inspect", "--format", "{{.Config.User}}", image) == "10001:10001"


def test_a_private_clone_makes_an_image_for_every_user(tmp_path: Path) -> None:
    """As under umask 077; the other files reach no image as they are."""
    clone(tmp_path)
    for file in (tmp_path / "docker").iterdir():
        file.chmod(file.stat().st_mode & 0o700)
    image = build("server", tmp_path, "private")
    assert "TensorFlow Library" in docker("run", "--rm", "--user", "4321:4321", image, "--version")


def test_every_package_is_pinned(client_image: str, exported: Path) -> None:
    """But for the project itself and what the base brings."""
    pinned = set((ROOT / "constraints.txt").read_text().splitlines())
    base = packages("python:3.11-slim")
    for image in (client_image, build("server"), "gannet-export:test"):
        [unpinned] = packages(image) - base - pinned
        assert unpinned.startswith("gannet-toolkit==")


def packages(image: str) -> set[str]:
    """What Python finds in an image, as NAME==VERSION."""
    code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    return set(docker("run", "--rm", "--entrypoint", "python", image, "-c", code).split())


def test_training_and_export_share_their_layers(exported: Path) -> None:
    train, export = (
        json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", f"gannet-{name}:test"))
        for name in ("train", "export")
    )
    assert train == export


def test_the_client_is_small_and_has_no_tensorflow(client_image: str) -> None:
    base, whole = (
        int(docker("image", "inspect", "--format", "{{.Size}}", image))
        for image in ("python:3.11-slim", client_image)
    )
    assert whole - base < 120e6  # the base has 130 MB where it is not a stand-in
    assert docker("run", "--rm", client_image, "--version").startswith("gannet, version")
