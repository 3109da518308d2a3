"""An export answers every signature of the contract, as the generator does, or does not exist."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gannet_client import contract
from gannet_client.errors import GannetError, UsageError
from gannet_export import export, noise, to_pixels
from gannet_training.models.dcgan import DCGANGenerator

LATENT_DIM = 5


def dense_generator(channels: int = 1) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input([LATENT_DIM]),
            keras.layers.Dense(48 * channels, "tanh"),
            keras.layers.Reshape([8, 6, channels]),
        ]
    )


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    generator = DCGANGenerator(image_size=8, channels=3, latent_dim=LATENT_DIM, width=4)
    generator(tf.zeros([1, LATENT_DIM]))
    generator.set_weights([10.0 * weight for weight in generator.get_weights()])
    return generator


@pytest.fixture(scope="module")
def version(generator: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models") / "Modèles"
    return export(
        generator,
        models,
        "tiny",
        latent_dim=LATENT_DIM,
        family="dcgan",
        training={"data": "digits", "steps": 3},
    )


Ask = Callable[[str, Any], np.ndarray]


@pytest.fixture(scope="module")
def ask(version: Path) -> Iterator[Ask]:
    """Asks a signature as TensorFlow Serving does, in a v1 Session."""
    with tf.Graph().as_default():
        session = tf.compat.v1.Session()
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version))

    def answer(name: str, given: Any) -> np.ndarray:
        signature = loaded.signature_def[name]
        ((_, feed),), ((_, fetch),) = signature.inputs.items(), signature.outputs.items()
        return session.run(fetch.name, {feed.name: given})

    yield answer
    session.close()


def latents(*seeds: int) -> np.ndarray:
    return noise(seeds, LATENT_DIM).numpy()


def test_every_signature_has_the_names_types_and_shapes_of_the_contract(version: Path) -> None:
    noises, seeds = ("noise", "float32", [None, 5]), ("seeds", "int64", [None])
    expected = {
        "serving_default": (noises, ("images", "float32", [None, 8, 8, 3])),
        "pixels": (noises, ("pixels", "uint8", [None, 8, 8, 3])),
        "png": (noises, ("png", "string", [None])),
        "latents": (seeds, ("noise", "float32", [None, 5])),
        "seeded_pixels": (seeds, ("pixels", "uint8", [None, 8, 8, 3])),
        "seeded_png": (seeds, ("png", "string", [None])),
        "card": (("rows", "int64", [None]), ("card", "string", [None])),
    }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version)).signature_def
    found = {
        name: tuple(
            (alias, tf.as_dtype(tensor.dtype).name, tf.TensorShape(tensor.tensor_shape).as_list())
            for alias, tensor in [*signature.inputs.items(), *signature.outputs.items()]
        )
        for name, signature in loaded.items()
        if not name.startswith("__")
    }
    assert found == expected


def test_images_are_the_generators(ask: Ask, generator: keras.Model) -> None:
    given = latents(1, 2, 3)
    images = ask("serving_default", given)
    np.testing.assert_allclose(images, generator(given).numpy(), atol=1e-5)
    assert images.std() > 0.01


def test_pixels_and_png_are_the_images_rounded(ask: Ask) -> None:
    given = latents(1, 2)
    pixels = ask("pixels", given)
    np.testing.assert_array_equal(pixels, to_pixels(ask("serving_default", given)).numpy())
    files = ask("png", given)
    np.testing.assert_array_equal(np.stack([tf.io.decode_png(file) for file in files]), pixels)


def test_seeds_give_the_one_noise_and_its_images(ask: Ask) -> None:
    seeds = np.array([7, -1, 2**63 - 1, -(2**63)])
    np.testing.assert_array_equal(ask("latents", seeds), latents(*seeds))
    np.testing.assert_array_equal(ask("seeded_pixels", seeds), ask("pixels", latents(*seeds)))
    assert ask("seeded_png", seeds).tolist() == ask("png", latents(*seeds)).tolist()


def test_an_image_depends_on_its_seed_alone(ask: Ask) -> None:
    together = ask("seeded_pixels", np.arange(40))
    alone = np.concatenate([ask("seeded_pixels", np.array([seed])) for seed in range(40)])
    assert np.abs(together.astype(int) - alone).max() <= 1


@pytest.mark.parametrize("signature", contract.SIGNATURES)
def test_no_rows_give_no_rows(ask: Ask, signature: str) -> None:
    by_noise = signature in (contract.SERVING_DEFAULT, contract.PIXELS, contract.PNG)
    assert len(ask(signature, np.zeros([0, 5]) if by_noise else np.zeros([0], np.int64))) == 0


def test_the_card_travels_with_the_model(ask: Ask, version: Path) -> None:
    card = json.loads((version / contract.CARD_FILE).read_text(encoding="utf-8"))
    files = card.pop("files")
    assert card.pop("gate")["passed"]
    assert [json.loads(row) for row in ask("card", np.arange(2))] == [card, card]
    assert card["format"] == 1
    assert (card["family"], card["image_shape"], card["latent_dim"]) == ("dcgan", [8, 8, 3], 5)
    assert card["training"] == {"data": "digits", "steps": 3}
    on_disk = {path for path in version.rglob("*") if path.is_file()} - {version / contract.CARD_FILE}
    assert files == {
        path.relative_to(version).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in on_disk
    }
    assert "saved_model.pb" in files


def test_the_same_weights_have_the_same_hash(tmp_path: Path, generator: keras.Model, version: Path) -> None:
    def weights_hash(directory: Path) -> str:
        return str(json.loads((directory / contract.CARD_FILE).read_text())["weights_sha256"])

    again = export(generator, tmp_path, "tiny", latent_dim=LATENT_DIM)
    other = export(dense_generator(), tmp_path, "tiny", latent_dim=LATENT_DIM)
    assert weights_hash(again) == weights_hash(version) != weights_hash(other)
    assert (again.name, other.name) == ("1", "2")


def test_nothing_but_the_version_remains(version: Path) -> None:
    assert [child.name for child in version.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "new\nline"])
def test_a_name_that_is_no_directory_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="expected a model name"):
        export(dense_generator(), tmp_path / "models", name, latent_dim=LATENT_DIM)
    assert not (tmp_path / "models").exists()


def test_errors_of_the_file_system_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write to the models directory") as refusal:
        export(dense_generator(), tmp_path / "file", "digits", latent_dim=LATENT_DIM)
    assert "\n" not in str(refusal.value)
    assert isinstance(refusal.value, GannetError)
