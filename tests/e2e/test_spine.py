"""From real images to files on a caller's disk, through the public commands."""

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannet_client import Client, ModelError, ServerUnreachable
from tests.e2e.programs import Spine, gannet, serving

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def client(server: str) -> Client:
    return Client(server, model="digits")


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_sixteen_images_from_seed_7(client: Client) -> None:
    images = client.generate(16, seed=7)
    assert images.array.shape == (16, 16, 16, 1)
    assert images.array.dtype == np.uint8
    assert images.seeds.tolist() == list(range(7, 23))
    assert (images.model, images.version) == ("digits", 1)
    assert len(np.unique(images.array.reshape(16, -1), axis=0)) == 16


def test_an_image_does_not_know_its_neighbours(client: Client) -> None:
    many = client.generate(200, seed=0).array.astype(int)
    few = client.generate(seeds=[150, 3]).array
    assert np.abs(many[[150, 3]] - few).max() <= 1


def test_the_card_tells_where_the_model_comes_from(client: Client, spine: Spine) -> None:
    card = client.card()
    training = json.loads((spine.run / "config.json").read_text())
    assert card["training"] == training
    assert card["training"]["steps"] == 40
    assert card["family"] == "dcgan"


def test_the_command_writes_files(server: str, tmp_path: Path) -> None:
    out, grid = tmp_path / "Ausgabe", tmp_path / "grid.png"
    ended = gannet(
        *("generate", "--server", server, "--model", "digits"),
        *("--seeds", "0-15", "--out", out, "--grid", grid),
    )
    assert ended.returncode == 0, ended.stderr
    assert "version 1" in ended.stdout
    assert sorted(files(out)) == [f"seed{seed:04d}.png" for seed in range(16)]
    assert pixels(grid).shape == (4 * 18 + 2, 4 * 18 + 2)


def test_the_server_draws_what_the_run_draws(server: str, spine: Spine, tmp_path: Path) -> None:
    sampled, served = tmp_path / "sampled", tmp_path / "served"
    assert gannet("sample", spine.run, "--seeds", "0-7", "--out", sampled).returncode == 0
    Client(server, model="digits").generate(8, seed=0).save(served)
    assert files(sampled).keys() == files(served).keys()
    for name in files(served):
        assert np.abs(pixels(sampled / name) - pixels(served / name)).max() <= 1


def test_a_seed_gives_the_same_bytes_again_and_after_a_restart(
    server: str, spine: Spine, tmp_path: Path
) -> None:
    def draw(target: str, name: str) -> tuple[dict[str, bytes], list[bytes]]:
        with Client(target, model="digits") as client:
            client.generate(seeds=[7, -1, 2**63 - 1]).save(tmp_path / name)
            encoded = client.predict({"seeds": np.array([7, -1])}, signature="seeded_png")["png"]
        return files(tmp_path / name), encoded.tolist()

    first = draw(server, "first")
    assert first == draw(server, "again")
    with serving(spine.models) as other:
        assert first == draw(other, "restarted")


def test_a_new_version_takes_over_while_the_server_runs(spine: Spine, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(spine.models, models)
    with serving(models) as target, Client(target, model="digits") as client:
        assert client.generate(1, seed=0).version == 1
        exported = gannet("export", spine.run, "--models", models, "--name", "digits")
        assert exported.returncode == 0, exported.stderr
        assert exported.stdout.strip() == str(models / "digits" / "2")
        while client.generate(1, seed=0).version == 1:
            pass
        assert client.generate(1, seed=0).version == 2
        with pytest.raises(ModelError, match=r"Specific\(digits, 9\)"):
            client.generate(1, seed=0, version=9)


def test_a_corrupt_version_beside_a_good_one(spine: Spine, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(spine.models, models)
    shutil.copytree(models / "digits" / "1", models / "digits" / "2")
    (models / "digits" / "2" / "saved_model.pb").write_bytes(b"\x0a\xff broken")
    with serving(models) as target, Client(target, model="digits") as client:
        assert client.generate(1, seed=0).version == 1
        states = {status.version: status for status in client.status()}
        assert states[1].state == "AVAILABLE"
        assert states[2].state == "END"
        assert states[2].message == "Read less bytes than requested"


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ended = gannet(
        *("generate", "--server", f"127.0.0.1:{port}", "--model", "digits"), *("--seeds", 0, "--out", "x")
    )
    assert ended.returncode == ServerUnreachable.exit_code == 3
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 1)
    assert f"127.0.0.1:{port}" in ended.stderr


def test_nobody_knows_the_model(server: str, tmp_path: Path) -> None:
    ended = gannet("generate", "--server", server, "--model", "digit", "--seeds", 0, "--out", tmp_path / "x")
    assert ended.returncode == ModelError.exit_code == 4
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 1)
    assert "digit" in ended.stderr
    assert not (tmp_path / "x").exists()


def test_a_run_without_a_checkpoint_is_not_exported(spine: Spine, tmp_path: Path) -> None:
    empty = tmp_path / "run"
    shutil.copytree(spine.run, empty)
    for checkpoint in (empty / "checkpoints").iterdir():
        checkpoint.unlink()
    ended = gannet("export", empty, "--models", tmp_path / "models", "--name", "digits")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "no checkpoint yet" in ended.stderr
    assert not (tmp_path / "models").exists()
