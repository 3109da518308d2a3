"""A setting comes from its flag, then the environment, then the TOML file, then the default."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gannet_training.config import TrainConfig
from gannet_training.initializers import INITIALIZERS, initializer
from gannet_training.optimizers import OPTIMIZERS, optimizers

Gannet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def resolved(gannet: Gannet, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What `gannet train --dry-run` would train."""

    def resolve(*arguments: object) -> dict[str, Any]:
        out = tmp_path / "run"
        code, printed, error = gannet("train", "gan", "--out", out, "--dry-run", *arguments)
        assert code == 0, error
        assert not out.exists()
        return dict(json.loads(printed))

    return resolve


def test_the_order_of_sources(
    resolved: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "réglages.toml"
    file.write_text('data = "digits"\nsteps = 30\nbatch_size = 16\nseed = 5\n')
    monkeypatch.setenv("GANNET_BATCH_SIZE", "32")
    monkeypatch.setenv("GANNET_SEED", "6")
    config = resolved("--config", file, "--seed", 7)["config"]
    assert (config["steps"], config["batch_size"], config["seed"]) == (30, 32, 7)
    assert (config["image_size"], config["latent_dim"]) == (16, 100)


def test_an_argument_of_a_factory_replaces_that_of_the_file_alone(gannet: Gannet, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('data = "digits"\n[options]\nheight = 3\nwidth = "wide"\n')
    options = ("--config", file, "--set", "width=5", "--set", "depth=7")
    code, _, error = gannet("train", "gan", "--out", tmp_path / "run", *options)
    assert code == 2
    assert "{'height': 3, 'width': 5, 'depth': 7}" in error
    file.write_text('data = "digits"\noptions = 3\n')
    code, _, error = gannet("train", "gan", "--out", tmp_path / "run", *options)
    assert (code, error.count("\n")) == (2, 1)
    assert "options: Input should be a valid dictionary, received 3" in error


def test_a_dry_run_tells_what_it_would_cost(resolved: Callable[..., dict[str, Any]]) -> None:
    plan = resolved("--data", "digits", "--image-size", 8, "--width", 4, "--latent-dim", 10)
    generator = (10 * 16 + 16) + (16 * 16 + 16) + (16 * 64 + 64)
    discriminator = (64 * 16 + 16) + (16 * 16 + 16) + (16 + 1)
    assert (plan["generator_parameters"], plan["discriminator_parameters"]) == (generator, discriminator)
    weights = 4 * (3 * generator + generator + 3 * discriminator)
    assert weights < plan["checkpoint_bytes"] < weights + 400
    assert plan["memory_bytes"] > plan["checkpoint_bytes"]
    larger = resolved(
        "--data", "digits", "--image-size", 8, "--width", 4, "--latent-dim", 10, "--batch-size", 128
    )
    assert larger["memory_bytes"] > plan["memory_bytes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("steps = ", "cannot read the configuration"), ("stepps = 3", "stepps: Extra inputs are not permitted")],
)
def test_a_file_that_is_wrong(gannet: Gannet, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'data = "digits"\n{text}\n')
    code, _, error = gannet("train", "gan", "--out", tmp_path / "run", "--config", file)
    assert code == 2
    assert message in error
    code, _, error = gannet("train", "gan", "--out", tmp_path / "run", "--config", tmp_path / "none.toml")
    assert (code, error.count("\n")) == (2, 1)


def test_the_configuration_of_a_run_makes_it_again(gannet: Gannet, tmp_path: Path) -> None:
    flags = ("--data", "digits", "--image-size", "8", "--width", "4", "--beta-1", "0.3", "--dry-run")
    code, planned, error = gannet("train", "cgan", "--out", tmp_path / "run", *flags)
    assert code == 0, error
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(planned)["config"]))
    code, again, error = gannet("train", "cgan", "--out", tmp_path / "run", "--config", file, "--dry-run")
    assert code == 0, error
    assert json.loads(again) == json.loads(planned)
    file.write_text("[1]")
    code, _, error = gannet("train", "cgan", "--out", tmp_path / "run", "--config", file)
    assert (code, error.count("\n")) == (2, 1)
    assert "an object of settings" in error


def test_data_is_needed(gannet: Gannet, tmp_path: Path) -> None:
    code, _, error = gannet("train", "gan", "--out", tmp_path / "run")
    assert (code, error) == (
        2, "gannet: expected a data set, received none; pass --data, for example --data digits\n"
    )  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_its_hyper_parameters(config: TrainConfig, name: str) -> None:
    settings = {
        "optimizer": name, "learning_rate": 0.25, "discriminator_learning_rate": 0.5, "beta_1": 0.4,
        "beta_2": 0.9, "momentum": 0.3, "nesterov": True, "rho": 0.7, "weight_decay": 0.01,
    }  # fmt: skip
    generator, discriminator = optimizers(config.model_copy(update=settings))
    assert generator is not discriminator
    found = generator.get_config()
    assert (found["learning_rate"], discriminator.get_config()["learning_rate"]) == (0.25, 0.5)
    for hyper in ("beta_1", "beta_2", "momentum", "nesterov", "rho"):
        if hyper in found:
            assert found[hyper] == pytest.approx(settings[hyper]), hyper
    if name == "adamw":
        assert found["weight_decay"] == 0.01


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_draws_anew_for_each_layer(name: str) -> None:
    first, second = (initializer(name)((40, 30)).numpy() for _ in range(2))
    assert first.shape == (40, 30)
    assert (first != second).any()
    assert first.std() > 0
