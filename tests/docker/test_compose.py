"""The compose file: from nothing to images and down again, and what becomes of it meanwhile."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from PIL import Image

from gannet_client import Client
from tests.docker.composition import Composition
from tests.docker.conftest import ROOT, WITHIN_FIVE_SECONDS, docker
from tests.docker.engine import restart_engine, restarts_engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first build brings TensorFlow

SETTINGS = """
image = "IMAGE"
models_dir = "models"
[models.digits]
versions = { latest = 2 }
labels = { stable = 1 }
"""


@pytest.fixture(scope="module")
def composition(
    stripped_image: str, client_image: str, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composition]:
    """All of it, up."""
    folder = tmp_path_factory.mktemp("compose")
    shutil.copytree(exported, folder / "models")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    composition = Composition(folder, GANNET_CLIENT_IMAGE=client_image)
    composition.configure(SETTINGS.replace("IMAGE", stripped_image))
    composition.compose("up", "--detach", "serving")
    yield composition
    composition.compose("down", "--volumes")
    assert not composition.container()


@pytest.fixture
def client(composition: Composition) -> Iterator[Client]:
    with Client(composition.address, model="digits", timeout=60) as client:
        client.wait_ready(timeout=120)
        yield client


def test_it_draws_images_once_it_is_ready(composition: Composition, client: Client, tmp_path: Path) -> None:
    composition.compose("--profile", "ready", "run", "--rm", "ready")
    composition.wait_until("healthy")
    files = client.generate(2, seed=7, version_label="stable").save(tmp_path)
    for file in files:
        with Image.open(file) as image:
            assert image.size == (16, 16)


def test_it_has_as_few_rights_as_possible(composition: Composition) -> None:
    assert composition.inspect(".Config.User") == "10001:10001"
    assert composition.inspect(".HostConfig.ReadonlyRootfs") == "true"
    assert composition.inspect(".HostConfig.CapDrop") == "[ALL]"
    assert composition.inspect(".HostConfig.SecurityOpt") == "[no-new-privileges:true]"
    assert composition.inspect(".HostConfig.PidsLimit") == "4096"
    assert composition.inspect(".HostConfig.Init") == "true"
    assert composition.inspect(".HostConfig.Memory") == str(4 << 30)
    ports = docker("port", composition.container()).splitlines()
    assert len(ports) == 2
    assert all(" 127.0.0.1:" in port for port in ports)


def test_a_corrupt_version_by_hand_changes_nothing_for_callers(
    composition: Composition, client: Client
) -> None:
    staged, broken = (composition.models / "digits" / name for name in (".staging-2", "2"))
    staged.mkdir()
    (staged / "saved_model.pb").write_bytes(b"junk")
    staged.rename(broken)
    try:
        wait_for(lambda: any(status.version == 2 for status in client.status()))
        assert client.generate(1, seed=1).version == 1
        wait_for(lambda: any(status.message for status in client.status()))
        [status] = [status for status in client.status() if status.version == 2]
        assert (status.state, status.message) == ("END", "Read less bytes than requested")
    finally:
        shutil.rmtree(broken)


def test_the_check_of_health_notices_a_model_that_does_not_serve(
    composition: Composition, client: Client
) -> None:
    """Run by hand: the check itself takes its time between two looks."""
    check = ("exec", composition.container(), "/bin/bash", "/gannet/healthcheck")
    assert docker(*check) == ""
    (composition.models / "digits").rename(composition.models / "away")
    (composition.models / "digits").mkdir()
    try:
        wait_for(lambda: not any(status.state == "AVAILABLE" for status in client.status()))
        done = subprocess.run(["docker", *check], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "model digits has no version that is AVAILABLE\n")
    finally:
        (composition.models / "digits").rmdir()
        (composition.models / "away").rename(composition.models / "digits")
    client.wait_ready(timeout=120)


def test_a_stop_takes_less_than_five_seconds(composition: Composition, client: Client) -> None:
    container = composition.container()
    composition.compose("stop", *WITHIN_FIVE_SECONDS, "serving")
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
    composition.compose("up", "--detach", "serving")
    client.wait_ready(timeout=120)


def test_a_killed_server_comes_back_with_its_models_and_labels(
    composition: Composition, client: Client
) -> None:
    before = client.generate(3, seed=5, version_label="stable").array
    docker("kill", composition.container())
    docker("start", composition.container())
    client.wait_ready(timeout=120)
    assert (client.generate(3, seed=5, version_label="stable").array == before).all()


@restarts_engine
def test_the_restart_of_the_engine_brings_it_back(composition: Composition, client: Client) -> None:
    before = client.generate(3, seed=5, version_label="stable").array
    restart_engine()
    client.wait_ready(timeout=120)
    assert (client.generate(3, seed=5, version_label="stable").array == before).all()


def test_no_call_is_lost_when_one_of_two_servers_is_killed(
    composition: Composition, client: Client, start: Callable[..., Any]
) -> None:
    other = start(composition.models, options=("--env", "MODEL_NAME=digits"))
    other.wait_for_log("listening on 0.0.0.0:8500")
    expected = client.generate(2, seed=3).array.astype(int)
    with (
        Client([composition.address, other.address], model="digits", timeout=60) as both,
        ThreadPoolExecutor(8) as callers,
    ):
        calls = [callers.submit(both.generate, 2, seed=3) for _ in range(400)]
        calls[20].result()
        docker("kill", composition.container())
        images = [call.result().array.astype(int) for call in calls]
    assert all(abs(array - expected).max() <= 1 for array in images)
    docker("start", composition.container())
    client.wait_ready(timeout=120)


def test_prometheus_scrapes_it(composition: Composition, client: Client, prometheus_image: str) -> None:
    composition.use(GANNET_PROMETHEUS_IMAGE=prometheus_image)
    client.generate(1, seed=1)
    composition.compose("up", "--detach", "prometheus")
    series = quote(":tensorflow:serving:request_count")
    query = f"http://127.0.0.1:{composition.prometheus_port}/api/v1/query?query={series}"

    def found() -> Any:
        try:
            with urlopen(query, timeout=5) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    wait_for(lambda: bool(found()))
    assert any(one["metric"]["model_name"] == "digits" for one in found())
    container = composition.compose("ps", "--quiet", "prometheus")
    assert (
        "volume:/prometheus"
        in docker(
            "inspect", "--format", "{{range .Mounts}}{{.Type}}:{{.Destination}} {{end}}", container
        ).split()
    )


@pytest.mark.parametrize("service", ["serving", "serving-gpu", "ready", "prometheus"])
def test_a_service_starts_alone(service: str, stripped_image: str, tmp_path: Path) -> None:
    """`serving` and `serving-gpu` exclude each other: they have the same ports and name."""
    images = {f"GANNET_{name}_IMAGE": stripped_image for name in ("CLIENT", "PROMETHEUS")}
    composition = Composition(tmp_path, **images)
    (tmp_path / "models" / "digits" / "1").mkdir(parents=True)
    composition.configure(SETTINGS.replace("IMAGE", stripped_image).replace("labels", "#"))
    try:
        composition.compose("up", "--no-start", service)
        assert composition.services() == {service}
    finally:
        composition.compose("down", "--volumes")


def test_both_servers_mount_the_same_files(tmp_path: Path) -> None:
    composition = Composition(tmp_path, GANNET_MODELS="", GANNET_CONFIG="")  # what is empty has its default
    composition.configure('image = "any"\n[models.digits]')
    described = composition.compose("--profile", "gpu", "config")
    folders = [f"{ROOT}/models:/models:ro", f"{ROOT}/config:/config:ro"]
    scripts = [f"{ROOT}/docker/{name}:/gannet/{name}:ro" for name in ("start", "healthcheck")]
    for service in ("serving", "serving-gpu"):
        [section] = re.findall(rf"^  {service}:\n((?: {{4}}.*\n)+)", described, re.M)
        assert re.findall(r"(?<=- )/.*:ro$", section, re.M) == [*folders, *scripts]


def wait_for(happened: Callable[[], bool]) -> None:
    """Waits; the time limit of the test ends what never comes."""
    while not happened():
        time.sleep(0.2)
