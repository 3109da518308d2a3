"""The toy mixtures: points in the plane in the place of images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gannet_training import Run, TrainConfig, load, train
from gannet_training.sampling import sample_values


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    shape = {"image_size": 1, "channels": 2, "width": 8, "latent_dim": 2}
    config = TrainConfig(model="gan", data="grid", steps=4, batch_size=64, **shape)
    return train(config, tmp_path_factory.mktemp("points") / "run")


def test_a_generator_of_points_has_no_bounds(run: Run) -> None:
    generator = load(run).ema_generator
    generator.blocks[-3].bias.assign([3.0, -2.0])
    points = sample_values(generator, range(5), 2).reshape(-1, 2)
    np.testing.assert_allclose(points, np.tile([3.0, -2.0], (5, 1)), atol=0.5)


def test_the_latents_are_drawn_as_maps(run: Run) -> None:
    for path in (run.sample_grid(0), run.sample_grid(4)):
        with Image.open(path) as picture:
            assert picture.size == (256, 256)
            assert len(np.argwhere(np.asarray(picture) == 0))
    with Image.open(run.path / "progress.png") as picture:
        assert picture.size == (512, 256)
    with Image.open(run.path / "progress.gif") as picture:
        assert picture.n_frames == 2


def test_the_measures_compare_points(run: Run) -> None:
    (record,) = run.read_metrics()
    # The modes are up to 4 from the centre, where an untrained generator draws.
    assert 1 < record["sliced_wasserstein"] < 4
    assert record["diversity"] < 0.5
    assert json.loads((run.path / "config.json").read_text())["channels"] == 2


def test_the_command_that_draws_images_says_what_it_expected(
    run: Run, tmp_path: Path, gannet: Callable[..., Any]
) -> None:
    ended = gannet("sample", run.path, "--seeds", "0-3", "--grid", tmp_path / "grid.png")
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "expected a run that draws images, received " in ended.stderr
    assert f"which draws points (grid); see the maps in {run.samples}" in ended.stderr
    assert not list(tmp_path.iterdir())
