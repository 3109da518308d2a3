"""The gate: what it lets pass, what it refuses, and what it says."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import ModelError
from gannet_export import ExportRefused, export
from gannet_export.conditions import Classes
from gannet_export.gate import TOLERANCES, Gatekeeper, Trial, Verdict, gatekeeper
from gannet_export.golden import golden_samples
from gannet_export.source import Source
from gannet_export.warmup import read_warmup

LATENT_DIM = 5
CLASSES = ("cat", "dog", "eel")
Judge = Callable[..., Verdict]
Make = Callable[[], keras.Model]
"""Networks are made in the tests: TensorFlow must not start before all of them are collected."""


def generator(*last: keras.layers.Layer, activation: str = "tanh") -> keras.Model:
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(48, activation, kernel_initializer="he_normal")
    return keras.Sequential([keras.Input([LATENT_DIM]), dense, *last, keras.layers.Reshape([8, 6, 1])])


def source(network: keras.Model) -> Source:
    return Source.of_keras(network, LATENT_DIM)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return generator()


@pytest.fixture(scope="module")
def version(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(network, tmp_path_factory.mktemp("models"), "tiny", latent_dim=LATENT_DIM, max_batch=5)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Asks the gate about a directory as if it had just been staged."""

    def verdict(
        directory: Path, made_from: Source, keeper: Gatekeeper | None = None, **changes: Any
    ) -> Verdict:
        golden_samples(made_from, 8).save(tmp_path / "golden.npz")
        try:
            card = json.loads((directory / contract.CARD_FILE).read_text(encoding="utf-8"))
        except OSError:
            card = {"warmed": {}}
        card = {key: value for key, value in card.items() if key not in ("gate", "files")}
        trial = Trial(directory, tmp_path / "golden.npz", 5, card, card["warmed"], TOLERANCES["float32"])
        return (keeper or gatekeeper()).judge(replace(trial, **changes))

    return verdict


def test_the_verdict_is_in_the_card(version: Path) -> None:
    card = json.loads((version / contract.CARD_FILE).read_text(encoding="utf-8"))
    verdict = card["gate"]
    assert verdict["passed"] and verdict["failed"] == []
    assert verdict["checks"] == {
        "load": 2,
        "signatures": 7,
        "golden": 28,
        "range": 3,
        "independence": 4,
        "determinism": 3,
        "warm-up": 1,
    }
    assert verdict["differences"]["images"] <= 1e-5
    assert verdict["differences"]["noise"] == 0
    assert card["largest_warmed_batch"] == 5


def test_every_signature_is_warmed(version: Path) -> None:
    requests = [
        (name, {key: len(rows) for key, rows in values.items()}) for name, values in read_warmup(version)
    ]
    by_noise, by_seeds = ([{key: rows} for rows in (1, 2, 4, 5)] for key in ("noise", "seeds"))
    expected = {
        "serving_default": by_noise[:1],
        "pixels": by_noise,
        "png": by_noise[:1],
        "latents": by_seeds[:1],
        "seeded_pixels": by_seeds,
        "seeded_png": by_seeds[:1],
        "card": [{"rows": 1}],
    }
    assert requests == [(name, rows) for name, sizes in expected.items() for rows in sizes]
    card = json.loads((version / contract.CARD_FILE).read_text(encoding="utf-8"))
    assert card["warmed"]["pixels"] == [1, 2, 4, 5]


def test_tensorflow_serving_reads_the_warm_up_file(version: Path) -> None:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    first = PredictionLog.FromString(next(records.as_numpy_iterator())).predict_log.request
    assert (first.model_spec.name, first.model_spec.signature_name) == ("tiny", "serving_default")
    assert tf.make_ndarray(first.inputs["noise"]).shape == (1, LATENT_DIM)


class Restless(keras.layers.Layer):
    """Answers differently every time."""

    def call(self, values: tf.Tensor) -> tf.Tensor:
        return tf.tanh(values + tf.random.normal(tf.shape(values)))


class Mixing(keras.layers.Layer):
    """Takes the mean of all rows away."""

    def call(self, values: tf.Tensor) -> tf.Tensor:
        return tf.tanh(values - tf.reduce_mean(values, axis=0))


class Impatient(keras.layers.Layer):
    """Fails where there is no row."""

    def call(self, values: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.assert_greater(tf.shape(values)[0], 0, "no row")]):
            return tf.identity(values)


class Compiled(keras.layers.Layer):
    """XLA compiles it, which TensorFlow Serving does not let it."""

    @tf.function(jit_compile=True)
    def call(self, values: tf.Tensor) -> tf.Tensor:
        return tf.tanh(values)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: generator(Restless()),
            "determinism, 'serving_default' of 32 rows: expected the same answer twice",
        ),
        (
            lambda: generator(Mixing()),
            "expected images that depend on their own row alone, received a difference of",
        ),
        (
            lambda: generator(keras.layers.Rescaling(1.5)),
            "finite images in [-1, 1], received values from -1.",
        ),
        (
            lambda: generator(keras.layers.Rescaling(np.nan)),
            "finite images in [-1, 1], received values from nan",
        ),
        (
            lambda: generator(Compiled()),
            "expected none, received 1; leave out jit_compile, or export without --plain",
        ),
    ],
    ids=["restless", "mixing", "bright", "nan", "compiled"],
)
def test_a_generator_that_cannot_be_served_is_refused(tmp_path: Path, make: Make, expected: str) -> None:
    with pytest.raises(ExportRefused, match=r"checks failed; nothing was published") as refusal:
        export(make(), tmp_path, "refused", latent_dim=LATENT_DIM, plain=True)
    assert expected in str(refusal.value)
    assert not refusal.value.verdict.passed
    assert not list(tmp_path.iterdir())
    assert refusal.value.exit_code == 4


def convolution() -> keras.Model:
    """Of a kind that oneDNN fuses, and then gives no rows a wrong shape."""
    layers = keras.layers
    grown = layers.Conv2DTranspose(4, 3, 2, "same", activation="relu")
    blocks = [layers.Reshape([4, 3, 4]), grown, layers.Conv2D(1, 3, padding="same", activation="tanh")]
    return keras.Sequential([*generator().layers[:1], *blocks])


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (lambda: generator(Impatient()), False),
        (lambda: generator(Impatient()), True),
        (convolution, False),
        (convolution, True),
        (lambda: generator(Compiled()), False),
    ],
    ids=["impatient", "impatient, plain", "convolution", "convolution, plain", "compiled"],
)
def test_what_the_export_mends(tmp_path: Path, make: Make, plain: bool) -> None:
    export(make(), tmp_path, "mended", latent_dim=LATENT_DIM, plain=plain, max_batch=1)


class Crashing(keras.layers.Layer):
    """Takes the process down that runs it in a graph."""

    def call(self, values: tf.Tensor) -> tf.Tensor:
        if tf.executing_eagerly():
            return values
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="out of ideas")]):
            return tf.identity(values)


def test_a_crash_is_the_gates_alone(tmp_path: Path, network: keras.Model) -> None:
    with pytest.raises(ExportRefused, match=r"a process that ends by itself, received one ended by SIGABRT"):
        export(generator(Crashing()), tmp_path, "tiny", latent_dim=LATENT_DIM, plain=True)
    assert not list(tmp_path.iterdir())
    assert export(network, tmp_path, "tiny", latent_dim=LATENT_DIM).name == "1"


def test_a_gate_that_was_killed_refuses_and_is_opened_anew(
    judge: Judge, version: Path, network: keras.Model
) -> None:
    keeper = gatekeeper()
    os.kill(keeper.pid, signal.SIGKILL)
    (failure,) = judge(version, source(network), keeper=keeper).failed
    assert failure.received.startswith("one ended by SIGKILL")
    assert judge(version, source(network)).passed


class Waiting(keras.layers.Layer):
    """Waits, where it runs in a graph, until a named pipe is read."""

    def __init__(self, pipe: Path) -> None:
        super().__init__()
        self.pipe = str(pipe)

    def call(self, values: tf.Tensor) -> tf.Tensor:
        if tf.executing_eagerly():
            return values
        more = "." * (1 << 17)  # than a pipe holds
        with tf.control_dependencies([tf.raw_ops.WriteFile(filename=self.pipe, contents=more)]):
            return tf.identity(values)


def test_a_gate_that_is_killed_during_a_trial_takes_the_trial_with_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    waiting = generator(Waiting(tmp_path / "pipe"))
    with ThreadPoolExecutor(1) as pool:
        exported = pool.submit(
            export, waiting, tmp_path / "models", "tiny", latent_dim=LATENT_DIM, plain=True
        )
        with (tmp_path / "pipe").open("rb"):
            keeper = gatekeeper()
            os.kill(keeper.pid, signal.SIGKILL)
            with pytest.raises(ExportRefused, match=r"received one ended by SIGKILL"):
                exported.result()
    assert not running(keeper.pid)


def running(group: int) -> bool:
    """Whether a process of the group does not end within a minute; zombies count as ended."""
    for _ in range(600):
        if not any(state != "Z" and found == group for state, found in states_and_groups()):
            return False
        time.sleep(0.1)
    return True


def states_and_groups() -> Iterator[tuple[str, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = stat.read_text().rpartition(")")[2].split()
            yield fields[0], int(fields[2])


def test_points_are_no_images(tmp_path: Path) -> None:
    points = keras.Sequential(
        [keras.Input([LATENT_DIM]), keras.layers.Dense(2), keras.layers.Reshape([1, 1, 2])]
    )
    with pytest.raises(ModelError, match=r"1, 3 or 4 channels, received \[1, 1, 1, 2\] for one row"):
        export(points, tmp_path, "points", latent_dim=LATENT_DIM)
    assert not list(tmp_path.rglob("*.pb"))


class Naive(tf.Module):
    """Holds the Keras model alone: restores in Python, not in TensorFlow Serving."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network

    @tf.function(input_signature=[tf.TensorSpec([None, LATENT_DIM], name="noise")])
    def serve(self, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": self.network(noise)}


def test_a_model_that_only_python_can_load_is_refused(judge: Judge, tmp_path: Path) -> None:
    network = generator()
    naive = Naive(network)
    signatures = dict.fromkeys(contract.SIGNATURES, naive.serve.get_concrete_function())
    tf.saved_model.save(naive, str(tmp_path / "naive"), signatures=signatures)
    assert tf.saved_model.load(str(tmp_path / "naive")).signatures["pixels"](noise=tf.zeros([1, 5]))
    verdict = judge(tmp_path / "naive", source(network))
    answers = [finding for finding in verdict.failed if finding.check == "golden"]
    assert "Could not find variable" in answers[0].received


def test_signatures_are_those_of_the_contract(judge: Judge, tmp_path: Path) -> None:
    network = generator()
    naive = Naive(network)
    naive.weights = [variable.value for variable in network.variables]
    tf.saved_model.save(naive, str(tmp_path / "naive"), signatures=naive.serve.get_concrete_function())
    failed = {finding.where: finding for finding in judge(tmp_path / "naive", source(network)).failed}
    assert "'serving_default'" not in failed
    assert failed["'pixels'"].expected == "a signature of this name"
    assert failed[contract.WARMUP_FILE].check == "warm-up"


def test_no_saved_model_at_all(judge: Judge, tmp_path: Path, network: keras.Model) -> None:
    (failure,) = judge(tmp_path, source(network)).failed
    assert (failure.check, failure.where) == ("load", "the whole export")


def test_another_generator_is_refused(judge: Judge, version: Path, network: keras.Model) -> None:
    assert judge(version, source(network)).passed
    other = generator()
    other.set_weights([1.01 * weight for weight in network.get_weights()])
    failed = judge(version, source(other)).failed
    assert {finding.check for finding in failed} == {"golden"}
    assert "the generator's own values within 1e-05, received a difference of 0." in str(failed[0])


def labelled(order: list[int]) -> keras.Model:
    noise, labels = keras.Input([LATENT_DIM]), keras.Input([], dtype="int64")
    table = np.eye(3, LATENT_DIM, dtype="float32")[order]
    embedding = keras.layers.Embedding(3, LATENT_DIM, weights=[table])
    images = keras.layers.Reshape([1, LATENT_DIM, 1])(keras.ops.tanh(noise + embedding(labels)))
    return keras.Model((noise, labels), images)


def test_classes_in_another_order_are_refused(judge: Judge, tmp_path: Path) -> None:
    made, other = (
        Source.of_keras(labelled(order), LATENT_DIM, (Classes(CLASSES),)) for order in ([0, 1, 2], [0, 2, 1])
    )
    version = export(
        labelled([0, 1, 2]), tmp_path, "animals", latent_dim=LATENT_DIM, classes=CLASSES, max_batch=5
    )
    assert judge(version, made).passed
    assert {finding.check for finding in judge(version, other).failed} == {"golden"}


def test_a_card_of_another_text_is_refused(judge: Judge, version: Path, network: keras.Model) -> None:
    failed = judge(version, source(network), card={"format": 1}).failed
    assert {finding.where.split()[0] for finding in failed} == {"'card'"}


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:20] + content])
def test_a_damaged_warm_up_file_is_refused(
    judge: Judge, tmp_path: Path, network: keras.Model, damage: Callable[[bytes], bytes]
) -> None:
    version = export(network, tmp_path, "tiny", latent_dim=LATENT_DIM, max_batch=5)
    file = version / contract.WARMUP_FILE
    file.write_bytes(damage(file.read_bytes()))
    (failure,) = judge(version, source(network)).failed
    assert (failure.check, failure.expected) == ("warm-up", "requests that run")


def test_a_warm_up_file_of_other_requests_is_refused(
    judge: Judge, version: Path, network: keras.Model
) -> None:
    (failure,) = judge(version, source(network), warmed={"pixels": [1]}).failed
    assert failure.expected == "requests of {'pixels': [1]} rows"
