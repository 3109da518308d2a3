"""The adversarial step: its options do what their papers say, and compose."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gannet_client.errors import UsageError
from gannet_training.adversarial import AdversarialModel
from gannet_training.data import in_memory
from gannet_training.pipeline import batches as stream_of
from gannet_training.pipeline import untuned
from gannet_training.precision import FIRST_FACTOR

LATENT_DIM, SHAPE = 3, (8, 8, 1)


def networks() -> tuple[keras.Model, keras.Model]:
    """Without BatchNorm: every row is on its own."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    generator = keras.Sequential(
        [
            keras.Input([LATENT_DIM]),
            layers.Dense(64, "tanh", dtype=keras.config.dtype_policy()),
            layers.Reshape(SHAPE),
        ]
    )
    discriminator = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Dense(8, "gelu"), layers.Dense(1)]
    )
    return generator, discriminator


def compiled(learning_rate: float = 0.1, *, steps_per_execution: int = 1, **options: Any) -> AdversarialModel:
    gan = AdversarialModel(*networks(), latent_dim=LATENT_DIM, **options)
    optimizers = (keras.optimizers.Adam(learning_rate), keras.optimizers.Adam(learning_rate))
    gan.compile(*optimizers, steps_per_execution=steps_per_execution)
    return gan


def batches(gan: AdversarialModel, count: int, rows: int = 8) -> list[dict[str, tf.Tensor]]:
    generator = np.random.default_rng(0)
    steps, floatx = gan.discriminator_steps, keras.config.floatx()
    numbers = {
        name: generator.random((count, rows, *draw.shape)) if draw.kind == "uniform"
        else generator.normal(size=(count, rows, *draw.shape))
        for name, draw in gan.draws.items()
    }  # fmt: skip
    numbers["images"] = generator.uniform(-1, 1, (count, rows, steps, *SHAPE))
    return [
        {name: tf.constant(value[turn], floatx) for name, value in numbers.items()} for turn in range(count)
    ]


def stream(elements: list[dict[str, tf.Tensor]]) -> tf.data.Dataset:
    stacked = {name: tf.stack([element[name] for element in elements]) for name in elements[0]}
    return untuned(tf.data.Dataset.from_tensor_slices(stacked))


def state(gan: AdversarialModel) -> list[np.ndarray]:
    trained = [*gan.generator.variables, *gan.discriminator.variables, *gan.ema_generator.variables]
    optimizers = [*gan.optimizer.variables, *gan.discriminator_optimizer.variables]
    return [np.asarray(variable) for variable in [*trained, *optimizers]]


def assert_equal(one: AdversarialModel, two: AdversarialModel, tolerance: float = 0.0) -> None:
    for expected, received in zip(state(one), state(two), strict=True):
        np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)


@pytest.fixture
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


class Executions(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.ends: list[int] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs
        assert all(np.isfinite(float(value)) for value in logs.values())
        self.ends.append(batch)


@pytest.mark.parametrize("options", [{}, {"r1": 1.0, "r1_interval": 3}], ids=["plain", "lazy R1"])
@pytest.mark.parametrize("steps_per_execution", [2, 4])
def test_steps_per_execution_change_no_bit(options: dict[str, Any], steps_per_execution: int) -> None:
    one, several = compiled(**options), compiled(steps_per_execution=steps_per_execution, **options)
    data = stream(batches(one, 8))
    one.fit(data, verbose=0, shuffle=False)
    executions = Executions()
    several.fit(data, steps_per_epoch=8, callbacks=[executions], verbose=0, shuffle=False)
    assert executions.ends == list(range(steps_per_execution - 1, 8, steps_per_execution))
    assert one.step == several.step == 8
    assert_equal(one, several, tolerance=1e-6)


def test_the_lazy_penalty_comes_at_every_kth_step() -> None:
    by_fit, by_hand = (compiled(r1=5.0, r1_interval=3) for _ in range(2))
    elements = batches(by_fit, 7)
    by_fit.fit(stream(elements), verbose=0, shuffle=False)
    for turn, batch in enumerate(elements):
        by_hand.train_step(batch, regularize=turn % 3 == 0)
    assert_equal(by_fit, by_hand, tolerance=1e-4)
    never = compiled(r1=5.0, r1_interval=3)
    for batch in elements:
        never.train_step(batch)
    assert np.abs(state(by_hand)[2] - state(never)[2]).max() > 1e-3


def test_micro_batches_change_memory_alone() -> None:
    whole, parts = compiled(gradient_penalty=10.0), compiled(gradient_penalty=10.0, micro_batches=4)
    for batch in batches(whole, 3):
        whole.train_step(batch)
        parts.train_step(batch)
    assert_equal(whole, parts, tolerance=1e-5)


def test_the_critic_learns_several_times_from_batches_of_its_own() -> None:
    gan = compiled(discriminator_steps=3, objective="wasserstein")
    (batch,) = batches(gan, 1)
    assert batch["images"].shape == (8, 3, *SHAPE)
    before = [np.asarray(variable) for variable in gan.discriminator.variables]
    gan.train_step(batch)
    assert int(gan.discriminator_optimizer.iterations) == 3
    assert int(gan.optimizer.iterations) == gan.step == 1
    other = compiled(discriminator_steps=3, objective="wasserstein")
    changed = {**batch, "images": tf.concat([batch["images"][:, :1], -batch["images"][:, 1:]], axis=1)}
    other.train_step(changed)
    for start, one, two in zip(
        before, gan.discriminator.variables, other.discriminator.variables, strict=True
    ):
        if start.shape == (64, 8):
            assert np.abs(np.asarray(one) - np.asarray(two)).max() > 1e-3


class Counting(keras.layers.Layer):
    """Counts the forward passes through it."""

    calls = 0

    def call(self, values: tf.Tensor) -> tf.Tensor:
        type(self).calls += 1
        return values


@pytest.mark.parametrize(("options", "passes"), [({}, 1), ({"discriminator_steps": 3}, 3)])
def test_no_generator_pass_is_made_twice(options: dict[str, int], passes: int) -> None:
    generator, discriminator = networks()
    counted = keras.Sequential([keras.Input([LATENT_DIM]), Counting(), *generator.layers])
    with keras.saving.custom_object_scope({"Counting": Counting}):
        gan = AdversarialModel(counted, discriminator, latent_dim=LATENT_DIM, **options)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    (batch,) = batches(gan, 1)
    Counting.calls = 0
    gan.train_step(batch)
    assert Counting.calls == passes


def test_clipped_weights_stay_in_their_bound() -> None:
    gan = compiled(objective="wasserstein", weight_clip=0.01)
    for batch in batches(gan, 3):
        gan.train_step(batch)
    largest = max(np.abs(np.asarray(variable)).max() for variable in gan.discriminator.trainable_variables)
    assert largest == pytest.approx(0.01)


def test_augmentation_and_instance_noise_reach_the_discriminator() -> None:
    plain = compiled()
    (batch,) = batches(plain, 1)
    for options in ({"augment": "cutout"}, {"augment": "translation"}, {"instance_noise": 0.5}):
        gan = compiled(**options)
        (extended,) = batches(gan, 1)
        gan.train_step({**extended, **batch})
        plain_twin = compiled()
        plain_twin.train_step(batch)
        assert np.abs(state(gan)[2] - state(plain_twin)[2]).max() > 1e-4


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_mixed_precision_keeps_float32_weights(policy: str) -> None:
    gan = compiled(learning_rate=0.001, gradient_penalty=1.0)
    assert gan.generator.compute_dtype == policy.removeprefix("mixed_")
    for batch in batches(gan, 5):
        logs = gan.train_step(batch)
    assert all(np.isfinite(float(value)) for value in logs.values())
    assert {value.dtype for value in state(gan)} <= {np.dtype(kind) for kind in ("float32", "int64", "int32")}
    assert float(np.asarray(gan.guard.factor)) == (FIRST_FACTOR if policy == "mixed_float16" else 1.0)


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_one_bad_replica_stops_the_update_on_all(policy: str, mirrored: tf.distribute.Strategy) -> None:
    with mirrored.scope():
        gan = compiled()
    before = state(gan)
    (batch,) = batches(gan, 1)
    images = batch["images"].numpy()
    images[-1, 0, 0, 0, 0] = np.inf
    gan.fit(stream([{**batch, "images": tf.constant(images)}]), verbose=0, shuffle=False)
    after = state(gan)
    discriminator = slice(len(gan.generator.variables), len(gan.generator.variables) + 4)
    for expected, received in zip(before[discriminator], after[discriminator], strict=True):
        np.testing.assert_array_equal(expected, received)
    assert float(np.asarray(gan.guard.factor)) < FIRST_FACTOR
    assert gan.step == 1
    gan.fit(stream([batch]), verbose=0, shuffle=False)
    assert np.abs(state(gan)[2] - after[2]).max() > 0
    for variable in gan.discriminator.variables:
        first, second = (np.asarray(copy) for copy in mirrored.experimental_local_results(variable.value))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "wassertein"}, "did you mean 'wasserstein'"),
        ({"objective": "hinge", "label_smoothing": 0.1}, "no labels to smooth"),
        ({"augment": "colour"}, "unknown augmentation 'colour'.*did you mean 'color'"),
    ],
)
def test_options_that_do_not_exist(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compiled(**options)


def test_xla_takes_one_replica(mirrored: tf.distribute.Strategy) -> None:
    with mirrored.scope(), pytest.raises(UsageError, match="XLA cannot compile a step of 2 replicas"):
        gan = AdversarialModel(*networks(), latent_dim=LATENT_DIM)
        gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), jit_compile=True)


def test_xla_changes_nothing_but_speed() -> None:
    plain, jit = compiled(), AdversarialModel(*networks(), latent_dim=LATENT_DIM)
    jit.compile(keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.1), jit_compile=True)
    data = stream(batches(plain, 3))
    plain.fit(data, verbose=0, shuffle=False)
    jit.fit(data, verbose=0, shuffle=False)
    assert_equal(plain, jit, tolerance=1e-4)


def conditional_networks() -> tuple[keras.Model, keras.Model]:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    noise, label = keras.Input([LATENT_DIM]), keras.Input([], dtype="int64")
    values = layers.Concatenate()([noise, layers.Embedding(2, 4)(label)])
    images = layers.Reshape(SHAPE)(layers.Dense(64, "tanh")(values))
    shown, judged = keras.Input(SHAPE), keras.Input([], dtype="int64")
    features = layers.Concatenate()([layers.Flatten()(shown), layers.Embedding(2, 4)(judged)])
    logits = layers.Dense(1)(layers.Dense(16, "gelu")(features))
    return keras.Model([noise, label], images), keras.Model([shown, judged], logits)


def test_a_conditional_model_learns_what_its_labels_mean() -> None:
    gan = AdversarialModel(*conditional_networks(), latent_dim=LATENT_DIM, classes=2, ema_half_life=0.0)
    gan.compile(keras.optimizers.Adam(0.01, 0.5), keras.optimizers.Adam(0.01, 0.5))
    shades = np.repeat(np.array([-0.8, 0.8], np.float32), 32)
    images = np.broadcast_to(shades[:, None, None, None], (64, *SHAPE)).copy()
    source = in_memory(images, np.repeat([0, 1], 32), ["dark", "bright"])
    data = stream_of(source, batch_size=16, draws=gan.draws, seed=0, labelled=True)
    gan.fit(data, steps_per_epoch=300, verbose=0, shuffle=False)
    noise = tf.random.stateless_normal([50, LATENT_DIM], seed=[1, 2])
    dark, bright = (gan.ema_generator((noise, tf.fill([50], tf.constant(kind, tf.int64)))) for kind in (0, 1))
    assert float(tf.reduce_mean(bright)) - float(tf.reduce_mean(dark)) > 0.8
