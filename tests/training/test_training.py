"""Training, as its commands and functions show it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gannet_client.errors import ModelError, UsageError
from gannet_training.adversarial import AdversarialModel
from gannet_training.config import TrainConfig
from gannet_training.execution import TrainFunction
from gannet_training.models import networks
from gannet_training.pipeline import untuned
from gannet_training.run import Run
from gannet_training.sampling import sample
from gannet_training.strategy import strategy
from gannet_training.trainer import build, load, train

STEPS = 150


def weights(run: Run) -> list[np.ndarray]:
    model = load(run)
    optimizers = [*model.optimizer.variables, *model.discriminator_optimizer.variables]
    return [np.asarray(variable) for variable in [*model.variables, *optimizers]]


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = TrainConfig(
        model="dcgan", data="digits", image_size=8, channels=1, steps=STEPS, latent_dim=16, width=4
    )
    return train(config, tmp_path_factory.mktemp("training") / "run")


@pytest.fixture(scope="module")
def sixty(config: TrainConfig) -> TrainConfig:
    """Epochs of 28 steps, the last one cut."""
    return config.model_copy(update={"steps": 60, "batch_size": 64})


@pytest.fixture(scope="module")
def whole(sixty: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(sixty, tmp_path_factory.mktemp("sixty") / "whole")


def test_a_run_leaves_what_the_design_lists(run: Run) -> None:
    assert {entry.name for entry in run.path.iterdir()} == {
        *(".lock", "checkpoints", "config.json", "logs"),
        *("losses.png", "metrics.jsonl", "progress.gif", "progress.png", "samples"),
    }
    assert [step for step, _ in run.checkpoints()] == [STEPS]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_run_in_half_precision_samples_in_full(tmp_path: Path, config: TrainConfig, precision: str) -> None:
    half = config.model_copy(update={"precision": precision, "steps": 3})
    computed = {layer.compute_dtype for layer in build(half).generator.layers}
    assert computed == {precision, "float32"}
    model = load(train(half, tmp_path / "run"))
    assert {layer.compute_dtype for layer in model.generator.layers} == {"float32"}
    assert all(np.isfinite(variable).all() for variable in map(np.asarray, model.variables))
    assert np.ptp(sample(model.ema_generator, range(4), model.latent_dim)) > 0
    assert keras.config.dtype_policy().name == "float32"


def test_every_epoch_is_logged_with_its_losses(run: Run) -> None:
    records = list(run.read_metrics())
    epoch = 1797 // 64
    assert [record["step"] for record in records] == [*range(epoch, STEPS, epoch), STEPS]
    for name in ("d_loss", "g_loss", "d_real", "d_fake", "images_per_second"):
        assert all(np.isfinite(record[name]) and record[name] > 0 for record in records)
    assert records[-1]["d_loss"] < records[0]["d_loss"]


def test_every_epoch_draws_the_same_latents(run: Run) -> None:
    grids = sorted(run.samples.iterdir())
    assert [grid.name for grid in grids[:2]] == ["step-00000000.png", "step-00000028.png"]
    model = load(run)
    tile = picture(grids[-1])[2:10, 2:10]
    np.testing.assert_array_equal(tile, sample(model.ema_generator, [0], 16)[0, :, :, 0])


def test_tensorboard_reads_losses_and_samples(run: Run) -> None:
    events = EventAccumulator(str(run.logs)).Reload()
    tags = events.Tags()["tensors"]
    assert {"d_loss", "g_loss", "d_real", "d_fake", "samples"} <= set(tags)
    assert [event.step for event in events.Tensors("g_loss")][-1] == STEPS


def test_pictures_show_losses_and_progress(run: Run) -> None:
    progress, losses = picture(run.path / "progress.png"), picture(run.path / "losses.png")
    assert progress.shape == (7 * 10 + 2, 6 * 10 + 2)
    np.testing.assert_array_equal(progress[-12:-2], picture(max(run.samples.iterdir()))[:10])
    assert losses.std() > 0


def test_the_average_follows_the_generator(run: Run) -> None:
    model = load(run)
    pairs = zip(model.ema_generator.variables, model.generator.variables, strict=True)
    distances = [float(np.abs(np.asarray(average) - np.asarray(current)).max()) for average, current in pairs]
    assert all(0 < distance < 1 for distance in distances)


def test_without_a_half_life_the_average_is_the_generator(config: TrainConfig) -> None:
    model = build(config.model_copy(update={"ema_half_life": 0.0}))
    model.train_step({"images": tf.zeros([4, 1, 8, 8, 1]), "noise": tf.random.normal([4, 1, 16])})
    for average, current in zip(model.ema_generator.variables, model.generator.variables, strict=True):
        np.testing.assert_allclose(np.asarray(average), np.asarray(current), atol=1e-7)


def test_half_of_the_average_is_replaced_after_its_half_life(config: TrainConfig) -> None:
    model = build(config.model_copy(update={"ema_half_life": 4.0}))
    before = np.asarray(model.ema_generator.variables[0])
    model.train_step({"images": tf.zeros([4, 1, 8, 8, 1]), "noise": tf.random.normal([4, 1, 16])})
    after, now = np.asarray(model.ema_generator.variables[0]), np.asarray(model.generator.variables[0])
    np.testing.assert_allclose(after, (before + now) / 2, atol=1e-7)


def test_a_run_that_was_continued_ends_with_the_same_bytes(
    tmp_path: Path, sixty: TrainConfig, whole: Run
) -> None:
    train(sixty.model_copy(update={"steps": 40}), tmp_path / "resumed")
    resumed = train(sixty, tmp_path / "resumed")
    for expected, received in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(expected, received)
    assert [record["step"] for record in resumed.read_metrics()] == [28, 40, 56, 60]


def test_a_complete_run_is_left_alone(run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*.h5")}
    train(run.config(), run.path)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*.h5")} == before


def test_fewer_steps_than_made_are_refused(run: Run) -> None:
    with pytest.raises(UsageError, match=f"is at step {STEPS} already, received 10 steps"):
        train(run.config().model_copy(update={"steps": 10}), run.path)
    assert run.config().steps == STEPS


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, sixty: TrainConfig, whole: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run = train(sixty.model_copy(update={"steps": 45}), tmp_path / "run", checkpoint_every=20)
    assert [step for step, _ in run.checkpoints()] == [20, 40, 45]
    latest = run.latest_checkpoint()
    latest.write_bytes(latest.read_bytes()[:1000])
    assert load(run).step == 40
    assert "going back to the checkpoint before" in caplog.text
    resumed = train(sixty, tmp_path / "run")
    for expected, received in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(expected, received)
    assert [record["step"] for record in resumed.read_metrics()] == [28, 56, 60]


def test_no_checkpoint_that_is_whole(tmp_path: Path, config: TrainConfig) -> None:
    run = Run.prepare(tmp_path / "run", config)
    run.save_checkpoint(build(config), 5)
    run.latest_checkpoint().write_bytes(b"not HDF5")
    with pytest.raises(ModelError, match=r"no checkpoint of the run .* can be restored"):
        load(run)


def test_steps_come_in_whole_executions(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match=r"^steps \(20\) is no multiple of steps_per_execution \(3\)$"):
        TrainConfig.parse({**config.model_dump(), "steps_per_execution": 3})


def test_executions_of_several_steps_fill_epochs(tmp_path: Path, sixty: TrainConfig, whole: Run) -> None:
    several = train(sixty.model_copy(update={"steps_per_execution": 5}), tmp_path / "several")
    assert [record["step"] for record in several.read_metrics()] == [25, 50, 60]
    assert [load(run).step for run in (whole, several)] == [60, 60]
    for network in ("generator", "discriminator", "ema_generator"):
        pairs = (getattr(load(run), network).variables for run in (whole, several))
        for expected, received in zip(*pairs, strict=True):
            np.testing.assert_allclose(np.asarray(received), np.asarray(expected), atol=1e-4)


def test_an_interruption_within_an_execution_keeps_whole_ones(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step with R1 runs by itself: Ctrl-C may come before the rest of its execution."""
    config = config.model_copy(update={"steps_per_execution": 4, "r1": 1.0, "r1_interval": 3})
    execute = TrainFunction._execute

    def interrupted(function: TrainFunction, *run: Any) -> Any:
        logs = execute(function, *run)
        if function._model.step == 9:
            raise KeyboardInterrupt
        return logs

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainFunction, "_execute", interrupted)
        train(config, tmp_path / "run", checkpoint_every=4)
    assert [step for step, _ in Run(tmp_path / "run").checkpoints()] == [4, 8]
    assert load(train(config, tmp_path / "run")).step == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 15}, "divisible by 2, for 2 replicas with 1 micro-batches each, received 15"),
        ({"micro_batches": 3}, "divisible by 6, for 2 replicas with 3 micro-batches each, received 16"),
    ],
)
def test_the_batch_must_divide_into_parts(
    tmp_path: Path,
    config: TrainConfig,
    mirrored: tf.distribute.Strategy,
    options: dict[str, int],
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        train(config.model_copy(update=options), tmp_path / "run", strategy=mirrored)
    assert not (tmp_path / "run").exists()


def test_more_cpu_devices_than_there_are_are_refused_once_tensorflow_runs() -> None:
    tf.constant(0)
    with pytest.raises(UsageError, match="cannot divide the CPU into 3 devices"):
        strategy("mirrored", 3)


@pytest.mark.parametrize("image_size", [4, 12, 20, 0])
def test_an_image_size_that_no_dcgan_draws(
    tmp_path: Path, config: TrainConfig, image_size: int, gannet: Callable[..., tuple[int, str, str]]
) -> None:
    out = tmp_path / "run"
    code, _, error = gannet("train", "dcgan", "--data", "digits", "--out", out, "--image-size", image_size)
    assert code == 2
    assert error.count("\n") == 1
    assert str(image_size) in error
    assert not out.exists()


def test_the_dcgan_is_the_papers(config: TrainConfig) -> None:
    generator, discriminator = networks(config.model_copy(update={"image_size": 32, "width": 64}))
    assert isinstance(generator.blocks[-1].activation(tf.constant(9.0)), tf.Tensor)
    images = generator(tf.random.normal([2, 16]))
    assert images.shape == (2, 32, 32, 1)
    assert discriminator(images).shape == (2, 1)
    kinds = [type(block).__name__ for block in discriminator.blocks]
    assert kinds[:2] == ["Conv2D", "LeakyReLU"]
    assert kinds.count("BatchNormalization") == 2
    assert type(generator.blocks[-2]).__name__ == "Conv2DTranspose"
    kernels = [v for v in [*generator.variables, *discriminator.variables] if v.path.endswith("kernel")]
    for kernel in kernels:
        assert np.std(np.asarray(kernel)) == pytest.approx(0.02, rel=0.1)
        assert abs(np.mean(np.asarray(kernel))) < 0.002
    for network in (generator, discriminator):
        for convolution, follower in zip(network.blocks, network.blocks[1:], strict=False):
            if type(follower).__name__ == "BatchNormalization":
                assert not getattr(convolution, "use_bias", False)
                assert follower.synchronized


def test_networks_survive_a_keras_file(tmp_path: Path, config: TrainConfig) -> None:
    for network, given in zip(
        networks(config), (tf.random.normal([3, 16]), tf.random.normal([3, 8, 8, 1])), strict=True
    ):
        network(given)
        network.save(tmp_path / "network.keras")
        restored = keras.models.load_model(tmp_path / "network.keras")
        assert restored.get_config() == network.get_config()
        np.testing.assert_array_equal(restored(given).numpy(), network(given).numpy())


def test_any_two_keras_models_can_play(tmp_path: Path) -> None:
    generator = keras.Sequential(
        [keras.Input([3]), keras.layers.Dense(16, "tanh"), keras.layers.Reshape([4, 4, 1])]
    )
    discriminator = keras.Sequential([keras.Input([4, 4, 1]), keras.layers.Flatten(), keras.layers.Dense(1)])
    gan = AdversarialModel(generator, discriminator, latent_dim=3)
    gan.compile("sgd", "sgd")
    batch = {"images": tf.zeros([8, 1, 4, 4, 1]), "noise": tf.random.normal([8, 1, 3])}
    data = untuned(tf.data.Dataset.from_tensors(batch).repeat())
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        keras.callbacks.EarlyStopping("g_loss", mode="min", patience=9),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    options = {"steps_per_epoch": 20, "epochs": 2, "callbacks": callbacks, "verbose": 0, "shuffle": False}
    history = gan.fit(data, **options).history
    assert {"d_loss", "g_loss", "d_real", "d_fake"} <= set(history)
    assert gan.step == 40
    gan.load_weights(tmp_path / "1.weights.h5")
    assert gan.step == 20
    gan.ema_generator.save(tmp_path / "generator.keras")
    noise = tf.random.normal([2, 3])
    saved = keras.models.load_model(tmp_path / "generator.keras")
    np.testing.assert_array_equal(saved(noise), gan.ema_generator(noise))


def test_sampling_does_not_depend_on_its_neighbours(run: Run) -> None:
    generator = load(run).ema_generator
    many = sample(generator, range(-3, 80), 16)
    assert many.shape == (83, 8, 8, 1)
    few = sample(generator, [70, -3], 16)
    assert np.abs(many[[73, 0]].astype(int) - few).max() <= 1


def test_batches_of_something_else_are_refused(config: TrainConfig) -> None:
    model = build(config)
    images = np.zeros([16, 1, 8, 8, 1], np.float32)
    for received, data in {
        "tuple": tf.data.Dataset.from_tensors((images, images)),
        "images, z": tf.data.Dataset.from_tensors({"images": images, "z": images}),
    }.items():
        with pytest.raises(
            UsageError, match=f"^expected batches of images, noise, received {received}; make"
        ):
            model.fit(untuned(data), verbose=0, shuffle=False)
    small = {"images": images[:, :, :4, :4], "noise": np.zeros([16, 1, 16], np.float32)}
    with pytest.raises(
        UsageError, match=r"images of the shape \[1, 8, 8, 1\] .* received \[1, 4, 4, 1\]; let"
    ):
        model.fit(untuned(tf.data.Dataset.from_tensors(small)), verbose=0, shuffle=False)


def test_the_commands_name_what_is_wrong(
    run: Run, tmp_path: Path, gannet: Callable[..., tuple[int, str, str]]
) -> None:
    train_ = ("train", "dcgan", "--data", "digits", "--out", tmp_path / "new")
    cases = {
        (
            "train",
            "dcgam",
            "--data",
            "digits",
            "--out",
            tmp_path,
        ): "unknown model 'dcgam', expected one of: cgan, dcgan, gan; did you mean 'dcgan'?",
        ("train", "dcgan", "--data", "digit", "--out", tmp_path): "did you mean 'digits'?",
        (*train_, "--steps", 0): "steps: Input should be greater than or equal to 1, received 0",
        (*train_, "--steps", "many"): "'many' is not a valid integer",
        (
            "train",
            "dcgan",
            "--data",
            "digits",
            "--out",
            run.path,
        ): "latent_dim 16 there, 100 here; width 4 there",
        ("sample", tmp_path, "--seeds", "0", "--out", tmp_path): "is not a run directory",
        ("sample", run.path, "--seeds", "0-", "--out", tmp_path): "seeds '0-' cannot be read",
        ("sample", run.path, "--seeds", "0"): "nothing to write",
        ("export", tmp_path, "--models", tmp_path, "--name", "a"): "is not a run directory",
    }
    for arguments, message in cases.items():
        code, out, error = gannet(*arguments)
        assert (code, out) == (2, ""), arguments
        assert message in error
    assert not list(tmp_path.iterdir())


def test_a_run_continues_by_the_same_command(run: Run, gannet: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = gannet(
        *("train", "dcgan", "--data", "digits", "--out", run.path, "--image-size", 8),
        *("--steps", STEPS, "--latent-dim", 16, "--width", 4),
    )
    assert code == 0
    assert f"{run.path} is at step {STEPS}" in out


def test_samples_become_files(run: Run, tmp_path: Path, gannet: Callable[..., tuple[int, str, str]]) -> None:
    out, grid = tmp_path / "Bilder", tmp_path / "grid.png"
    code, printed, _ = gannet("sample", run.path, "--seeds", "3,-1", "--out", out, "--grid", grid)
    assert code == 0
    assert {path.name for path in out.iterdir()} == {"seed0003.png", "seed-0001.png"}
    assert printed.split() == [str(out / "seed0003.png"), str(out / "seed-0001.png"), str(grid)]
    drawn = sample(load(run).ema_generator, [3, -1], 16)
    np.testing.assert_array_equal(picture(out / "seed0003.png"), drawn[0, :, :, 0])
