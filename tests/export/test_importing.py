"""Generators trained elsewhere come under the contract, through the same gate."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import ModelError, UsageError
from gannet_export import export, noise
from gannet_export.importing import export_file, keras_source

LATENT_DIM = 4
Gannet = Callable[..., Any]
"""Runs the program; tells its exit code, stdout and stderr."""


def network(*inputs: tuple[tuple[int, ...], str]) -> keras.Model:
    """From noise, and further inputs, to images."""
    keras.utils.set_random_seed(0)
    given = [keras.Input(shape, dtype=dtype) for shape, dtype in (((LATENT_DIM,), "float32"), *inputs)]
    rows = [keras.layers.Reshape([-1])(keras.ops.cast(values, "float32")) for values in given]
    joined = keras.layers.Concatenate()(rows) if len(rows) > 1 else rows[0]
    dense = keras.layers.Dense(48, "tanh", kernel_initializer="he_normal")(joined)
    return keras.Model(given if inputs else given[0], keras.layers.Reshape([4, 4, 3])(dense))


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return network()


@pytest.fixture(scope="module")
def file(generator: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elsewhere") / "Générateur.keras"
    generator.save(path)
    return path


def latents(*seeds: int) -> np.ndarray:
    return noise(seeds, LATENT_DIM).numpy()


def images(version: Path, name: str, **given: np.ndarray) -> np.ndarray:
    """What TensorFlow Serving would answer."""
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version)).signature_def[name]
        (output,) = loaded.outputs.values()
        return session.run(output.name, {loaded.inputs[key].name: value for key, value in given.items()})


def card(version: Path) -> dict:
    return dict(json.loads((version / contract.CARD_FILE).read_text(encoding="utf-8")))


def test_a_keras_file(file: Path, generator: keras.Model, tmp_path: Path) -> None:
    version = export_file(file, None, tmp_path, "faces")
    drawn = images(version, "serving_default", noise=latents(1, 2))
    np.testing.assert_allclose(drawn, generator(latents(1, 2)).numpy(), atol=1e-5)
    assert card(version)["family"] == "imported"
    assert card(version)["gate"]["passed"]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert card(version)["training"] == {"imported": file.name, "signature": None, "sha256": digest}


def test_a_keras_file_with_classes(tmp_path: Path) -> None:
    conditional = network(((), "int64"))
    conditional.save(tmp_path / "conditional.keras")
    version = export_file(
        tmp_path / "conditional.keras", None, tmp_path, "pets", classes=["cat", "dog"], plain=True
    )
    given = {"noise": latents(1, 1), "labels": np.array([0, 1])}
    expected = conditional([given["noise"], given["labels"]]).numpy()
    np.testing.assert_allclose(images(version, "serving_default", **given), expected, atol=1e-5)
    assert card(version)["classes"] == ["cat", "dog"]


def saved_archive(generator: keras.Model, directory: Path) -> str:
    """As Keras exports."""
    generator.export(directory, verbose=False)
    return "serve"


def saved_function(generator: keras.Model, directory: Path) -> str:
    """By hand: noise of another shape, images beside another output."""

    class Servable(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = [variable.value for variable in generator.variables]

        @tf.function(input_signature=[tf.TensorSpec([None, 1, 1, LATENT_DIM], name="z")])
        def draw(self, z: tf.Tensor) -> dict[str, tf.Tensor]:
            drawn = generator(tf.reshape(z, [-1, LATENT_DIM]), training=False)
            return {"images": drawn, "brightness": tf.reduce_mean(drawn, [1, 2, 3])}

    made = Servable()
    tf.saved_model.save(made, str(directory), signatures={"draw": made.draw})
    return "draw"


def saved_by_tensorflow_1(generator: keras.Model, directory: Path) -> str:
    kernel, bias = generator.get_weights()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        z = tf.compat.v1.placeholder(tf.float32, [None, LATENT_DIM], "z")
        weights = [
            tf.compat.v1.get_variable(f"w{place}", initializer=w) for place, w in enumerate([kernel, bias])
        ]
        drawn = tf.reshape(tf.tanh(z @ weights[0] + weights[1]), [-1, 4, 4, 3])
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(directory), {"z": z}, {"x": drawn})
    return "serving_default"


Save = Callable[[keras.Model, Path], str]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("save", [saved_archive, saved_function, saved_by_tensorflow_1])
def test_a_saved_model(generator: keras.Model, tmp_path: Path, save: Save, plain: bool) -> None:
    signature = save(generator, tmp_path / "there")
    version = export_file(tmp_path / "there", signature, tmp_path / "models", "faces", plain=plain)
    drawn = images(version, "serving_default", noise=latents(1, 2))
    np.testing.assert_allclose(drawn, generator(latents(1, 2)).numpy(), atol=1e-5)
    assert card(version)["training"]["signature"] == signature
    assert card(version)["graph"]["rewritten"] == {} if plain else card(version)["graph"]["rewritten"]


def test_an_export_is_a_saved_model_too(file: Path, tmp_path: Path) -> None:
    first = export_file(file, None, tmp_path, "faces")
    second = export_file(first, "serving_default", tmp_path, "faces")
    assert second.name == "2"
    given = {"noise": latents(3)}
    np.testing.assert_allclose(images(second, "pixels", **given), images(first, "pixels", **given), atol=1)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (
            [((), "int64")],
            r"expected a Keras model of noise \[B, Z\], received one of \(None, 4\), \(None,\)",
        ),
        ([((8, 8, 3), "float32")], r"received one of \(None, 4\), \(None, 8, 8, 3\)"),
    ],
)
def test_a_keras_file_of_other_inputs(tmp_path: Path, inputs: list, told: str) -> None:
    network(*inputs).save(tmp_path / "other.keras")
    with pytest.raises(UsageError, match=told):
        export_file(tmp_path / "other.keras", None, tmp_path / "models", "other")
    assert not (tmp_path / "models").exists()


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no model")
    for path, signature in (
        (tmp_path / "text.keras", None),
        (tmp_path / "nothing", "draw"),
        (tmp_path, "draw"),
    ):
        kind = "SavedModel" if signature else "Keras model"
        with pytest.raises(UsageError, match=rf"cannot read a {kind} from .*{path.name}: ") as refusal:
            export_file(path, signature, tmp_path / "models", "other")
        assert "\n" not in str(refusal.value)
    assert not (tmp_path / "models").exists()


def test_an_unknown_signature(generator: keras.Model, tmp_path: Path) -> None:
    saved_function(generator, tmp_path / "there")
    with pytest.raises(
        UsageError, match="unknown signature 'drew', expected one of: draw; did you mean 'draw'"
    ):
        export_file(tmp_path / "there", "drew", tmp_path / "models", "other")
    with pytest.raises(UsageError, match=r"a float type \[B, Z\], labels, received one of z float32"):
        export_file(tmp_path / "there", "draw", tmp_path / "models", "other", classes=["a", "b"])


def test_the_command_imports_and_tells_the_verdict(gannet: Gannet, file: Path, tmp_path: Path) -> None:
    target = ("--models", tmp_path / "models", "--name", "faces", "--max-batch", 3, "--json")
    ended = gannet("export", "--keras", file, *target)
    told = json.loads(ended.stdout)
    assert (ended.code, told["version"], told["gate"]["passed"]) == (0, 1, True)
    version = Path(told["directory"])
    assert card(version)["largest_warmed_batch"] == 3
    again = gannet("export", "--saved-model", version, "--signature", "serving_default", *target)
    assert (again.code, json.loads(again.stdout)["version"]) == (0, 2)


def test_the_command_tells_every_failed_check(gannet: Gannet, tmp_path: Path) -> None:
    bright = network()
    keras.Sequential([bright, keras.layers.Rescaling(2.0)]).save(tmp_path / "bright.keras")
    target = ("--models", tmp_path / "models", "--name", "faces")
    ended = gannet("export", "--keras", tmp_path / "bright.keras", *target, "--json")
    verdict = json.loads(ended.stdout)["gate"]
    assert (ended.code, verdict["passed"]) == (4, False)
    assert {failure["check"] for failure in verdict["failed"]} == {"range"}
    assert "expected finite images in [-1, 1], received values from" in ended.stderr
    assert "next:" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "expected one of RUN, --keras and --saved-model, received 0 of them"),
        (("run", "--keras", "x.keras"), "received 2 of them"),
        (("--saved-model", "there"), "expected --saved-model and --signature together"),
        (("run", "--classes", "a,b"), "a run knows its conditions"),
        (("--keras", "nothing.keras"), "cannot read a Keras model from nothing.keras"),
        (("--keras", "nothing.keras", "--max-batch", "0"), "expected a largest batch of 1 to 4096 rows"),
    ],
)
def test_what_cannot_be_exported(
    gannet: Gannet, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    ended = gannet("export", *arguments, "--models", tmp_path / "models", "--name", "faces")
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr and ended.stderr.count("\n") == 1
    assert not (tmp_path / "models").exists()


def test_a_saved_model_that_reads_a_table(tmp_path: Path) -> None:
    class Looking(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            values = tf.lookup.KeyValueTensorInitializer(tf.constant([0], tf.int64), tf.constant([0.5]))
            self.table = tf.lookup.StaticHashTable(values, 0.0)

        @tf.function(input_signature=[tf.TensorSpec([None, LATENT_DIM], name="noise")])
        def draw(self, noise: tf.Tensor) -> dict[str, tf.Tensor]:
            shade = self.table.lookup(tf.zeros([1], tf.int64))
            return {"images": tf.tanh(noise[:, :, tf.newaxis, tf.newaxis] + shade)}

    made = Looking()
    tf.saved_model.save(made, str(tmp_path / "there"), signatures={"draw": made.draw})
    with pytest.raises(
        ModelError, match=r"the generator reads more than its weights: .*nothing was published"
    ):
        export_file(tmp_path / "there", "draw", tmp_path / "models", "table")
    assert not (tmp_path / "models").exists()


def test_weights_have_one_hash_whatever_was_drawn_at_load(tmp_path: Path) -> None:
    images = keras.layers.Reshape([4, 4, 1])(
        keras.layers.Dense(16, "tanh")(given := keras.Input([LATENT_DIM]))
    )
    keras.Model(given, keras.layers.Dropout(0.5)(images)).save(tmp_path / "dropout.keras")
    hashes = {keras_source(tmp_path / "dropout.keras").weights_sha256 for _ in range(3)}
    assert len(hashes) == 1


@pytest.mark.parametrize("plain", [False, True])
def test_a_keras_file_of_mixed_precision(tmp_path: Path, plain: bool) -> None:
    policy = keras.DTypePolicy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    mixed = keras.Sequential(
        [
            keras.Input([LATENT_DIM]),
            keras.layers.Dense(16, "tanh", dtype=policy),
            keras.layers.Reshape([4, 4, 1], dtype=policy),
        ]
    )
    mixed.save(tmp_path / "mixed.keras")
    version = export_file(tmp_path / "mixed.keras", None, tmp_path / "models", "mixed", plain=plain)
    assert card(version)["gate"]["differences"]["images"] <= 1e-5
    with pytest.raises(ModelError, match=r"computes in float32, received one of mixed_bfloat16"):
        export(mixed, tmp_path / "models", "mixed", latent_dim=LATENT_DIM)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_branch_of_tensorflow_1_stays_a_branch(tmp_path: Path, sign: float) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.disable_control_flow_v2()
        try:
            z = tf.compat.v1.placeholder(tf.float32, [None, LATENT_DIM], "z")
            brightness = tf.cond(tf.reduce_sum(z) * sign < 1e9, lambda: 0.9, lambda: 0.5)
        finally:
            tf.compat.v1.enable_control_flow_v2()
        drawn = tf.reshape(tf.tanh(z), [-1, 2, 2, 1]) * brightness
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "there"), {"z": z}, {"x": drawn})
    version = export_file(tmp_path / "there", "serving_default", tmp_path / "models", "branch")
    for noise_, factor in ((latents(1), 0.9), (np.full([1, LATENT_DIM], sign * 1e9, np.float32), 0.5)):
        expected = factor * np.tanh(noise_).reshape(1, 2, 2, 1)
        received = images(version, "serving_default", noise=noise_)
        np.testing.assert_allclose(received, expected, atol=1e-5)
    assert card(version)["graph"]["left"] == {"the whole graph": {"it has loops or branches": 1}}


def test_conditions_that_do_not_fit(tmp_path: Path, generator: keras.Model) -> None:
    pets = keras.Input([LATENT_DIM]), keras.Input([], dtype="int64")
    table = keras.layers.Embedding(2, LATENT_DIM)(pets[1])
    network_ = keras.Model(pets, keras.layers.Reshape([2, 2, 1])(keras.ops.tanh(pets[0] + table)))
    network_.save(tmp_path / "pets.keras")
    for classes, kind, told in (
        (["a", "b", "c"], ModelError, "it fails, "),
        (["a", "a"], UsageError, "names of classes, each once and none empty, received 'a', 'a'"),
        (["a", ""], UsageError, "received 'a', ''"),
    ):
        with pytest.raises(kind, match=told) as refusal:
            export_file(tmp_path / "pets.keras", None, tmp_path / "models", "pets", classes=classes)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ModelError, match=r"it fails, ValueError: .*"):
        export(generator, tmp_path / "models", "pets", latent_dim=7)
    assert not (tmp_path / "models").exists()


def test_a_keras_file_with_a_flipped_byte(tmp_path: Path, file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "flipped.keras").write_bytes(content)
    with pytest.raises(UsageError, match="cannot read a Keras model from"):
        export_file(tmp_path / "flipped.keras", None, tmp_path / "models", "flipped")
