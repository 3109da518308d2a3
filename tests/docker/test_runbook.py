"""The commands of docs/operations.md, run in a clone in the order of the page: each test needs the last."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gannet_client import Client
from tests.certificates import issue
from tests.docker.composition import Composition
from tests.docker.conftest import ROOT, clone, docker
from tests.serving.processes import PROGRAMS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first build brings TensorFlow

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
BLOCKS = {
    (title, number): commands
    for title, section in re.findall(r"^## (.*?)$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    for number, commands in enumerate(re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S))
}
IMAGES = ("client", "train", "export", "serving")
"""Tagged as the test's own, since somebody may use theirs on this machine."""


class Runbook:
    """A clone in which the commands of the page are carried out."""

    def __init__(self, composition: Composition, substitutes: dict[str, str]) -> None:
        self.composition = composition
        self.clone = composition.folder
        self.substitutes = substitutes
        self.followed = {("Install", 0)}

    def follow(self, title: str, number: int = 0) -> str:
        """Runs one block of a section, after the definitions with which the page begins."""
        self.followed.add((title, number))
        commands = "set -eu\n" + BLOCKS["Install", 0] + BLOCKS[title, number]
        for text, other in self.substitutes.items():
            commands = commands.replace(text, other)
        done = subprocess.run(
            ["sh", "-c", commands],
            cwd=self.clone,
            env=self.composition.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def wait_for_version(self, number: int) -> None:
        """Waits until it is the one that answers; the time limit of the test ends what never comes."""
        with Client(self.composition.address, model="digits", timeout=60) as client:
            while client.generate(1, seed=1).version != number:
                pass


@pytest.fixture(scope="module")
def runbook(
    stripped_image: str, prometheus_image: str, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runbook]:
    folder = tmp_path_factory.mktemp("clone")
    clone(folder)
    composition = Composition(
        folder,
        PATH=f"{_with_gannet(folder / 'bin')}:{os.environ['PATH']}",
        GANNET_MODELS="",  # what is empty has its default
        GANNET_CONFIG="",
        GANNET_CLIENT_IMAGE="gannet-client:runbook",
        GANNET_PROMETHEUS_IMAGE=prometheus_image,
    )
    substitutes = {
        "export RUN": f"export {exported.parent / 'run'}",
        "tensorflow/serving:2.20.0": stripped_image,
        "127.0.0.1:8500": composition.address,
        "NAME:8500": f"localhost:{composition.port}",
        "docker compose": "docker-compose",
        "docker build": "docker build --network host",
        **{f"--tag gannet-{image}": f"--tag gannet-{image}:runbook" for image in IMAGES},
        "gannet bench": "gannet bench --seconds 0.1 --rows 1 --concurrency 1,2",
    }
    yield Runbook(composition, substitutes)
    composition.compose("down", "--volumes")


def _with_gannet(folder: Path) -> Path:
    """A directory with the command as installed."""
    folder.mkdir()
    (folder / "gannet").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{PROGRAMS['gannet']}' \"$@\"\n")
    (folder / "gannet").chmod(0o755)
    return folder


def test_install(runbook: Runbook) -> None:
    runbook.follow("Install", 1)


def test_the_first_model(runbook: Runbook) -> None:
    runbook.follow("The first model")
    assert len(list((runbook.clone / "images").glob("*.png"))) == 16


def test_a_new_version_and_back(runbook: Runbook) -> None:
    assert "digits" in runbook.follow("A new version", 0)
    runbook.wait_for_version(2)
    runbook.follow("A new version", 1)
    runbook.wait_for_version(1)


def test_a_changed_file_with_a_new_image(runbook: Runbook, stripped_image: str) -> None:
    composition, file = runbook.composition, runbook.clone / "serving.toml"
    docker("tag", stripped_image, "gannet-stripped:next")
    before = composition.container()
    file.write_text(
        f"{file.read_text().replace(stripped_image, 'gannet-stripped:next')}labels = {{ stable = 1 }}\n"
    )
    runbook.follow("A changed serving.toml, a new image")
    assert composition.container() != before
    assert composition.inspect(".Config.Image") == "gannet-stripped:next"
    with Client(composition.address, model="digits", timeout=60) as client:
        assert client.generate(1, seed=1, version_label="stable").version == 1


def test_a_file_that_alone_has_changed(runbook: Runbook) -> None:
    file = runbook.clone / "serving.toml"
    file.write_text(file.read_text().replace("stable", "other"))
    runbook.follow("A changed serving.toml, a new image")
    with Client(runbook.composition.address, model="digits", timeout=60) as client:
        assert client.generate(1, seed=1, version_label="other").version == 1


def test_health_and_metrics(runbook: Runbook) -> None:
    runbook.composition.wait_until("healthy")
    assert "(healthy)" in runbook.follow("Health and metrics")
    assert runbook.composition.services() == {"serving", "prometheus"}


def test_capacity(runbook: Runbook) -> None:
    assert json.loads(runbook.follow("Capacity"))


def test_tls(runbook: Runbook) -> None:
    authority = issue("authority")
    pair = issue("server", authority)
    pems = {"server.key": pair.key, "server.pem": pair.certificate, "ca.pem": authority.certificate}
    for name, text in pems.items():
        (runbook.clone / name).write_text(text)
    runbook.follow("TLS")


def test_stop_restart_backup(runbook: Runbook) -> None:
    begun = runbook.composition.inspect(".State.StartedAt")
    runbook.follow("Stop, restart, backup", 0)
    assert runbook.composition.inspect(".State.StartedAt") > begun
    assert (runbook.clone / "backup.tar.gz").exists()
    runbook.follow("Stop, restart, backup", 1)
    assert not runbook.composition.services()


def test_no_other_command_is_on_the_page(runbook: Runbook) -> None:
    assert BLOCKS.keys() - runbook.followed == {("GPU", 0)}
