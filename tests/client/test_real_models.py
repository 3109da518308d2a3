"""The client against the embedded server with real SavedModels: what an image follows from, and what not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_client import Client, ModelError, UsageError
from gannet_client.images import decode_pngs
from gannet_client.interpolation import between
from gannet_serving import LocalServer
from tests.client import served

INT64S = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def targets(real_models: Path, real_target: str) -> Iterator[list[str]]:
    with LocalServer(real_models) as other:
        yield [real_target, other.target]


@pytest.fixture(scope="module")
def clients(targets: list[str]) -> Iterator[Any]:
    """A client for a model: `clients("animals", chunk_rows=3)`."""
    made: list[Client] = []

    def client(model: str, **options: Any) -> Client:
        made.append(Client(options.pop("target", targets[0]), model=model, **options))
        return made[-1]

    yield client
    for one in made:
        one.close()


def close_to(images: np.ndarray, others: np.ndarray) -> bool:
    """Whether images are those of the same rows in other company: within one grey level."""
    return (
        images.shape == others.shape
        and int(np.abs(images.astype(int) - others.astype(int)).max(initial=0)) <= 1
    )


@given(
    seeds=st.lists(INT64S, min_size=1, max_size=30),
    chunk_rows=st.integers(1, 20),
    parallel=st.integers(1, 8),
    several=st.booleans(),
    data=st.data(),
)
@settings(max_examples=20, deadline=None)
def test_an_image_follows_from_its_row_alone(
    clients: Any,
    targets: list[str],
    seeds: list[int],
    chunk_rows: int,
    parallel: int,
    several: bool,
    data: Any,
) -> None:
    count = len(seeds)
    classes = data.draw(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=count, max_size=count))
    codes = data.draw(
        st.lists(st.sampled_from([[0.5, -1.0], [float("nan"), 0.0]]), min_size=count, max_size=count)
    )
    truncation = data.draw(st.lists(st.floats(0, 1, width=32), min_size=count, max_size=count))
    together = clients("animals").generate(seeds=seeds, classes=classes, codes=codes, truncation=truncation)
    order = data.draw(st.permutations(range(count)))
    with Client(
        targets if several else targets[0], model="animals", chunk_rows=chunk_rows, parallel=parallel
    ) as other:
        apart = other.generate(
            seeds=[seeds[i] for i in order],
            classes=[classes[i] for i in order],
            codes=[codes[i] for i in order],
            truncation=[truncation[i] for i in order],
        )
        streamed = list(other.stream(seeds=seeds, classes=classes, codes=codes, truncation=truncation))
    assert close_to(apart.array, together.array[list(order)])
    assert close_to(np.concatenate([piece.array for piece in streamed]), together.array)


def test_what_a_caller_leaves_open_is_filled_in(clients: Any) -> None:
    images = clients("animals").generate(4, seed=3)
    assert images.classes.tolist() == [-1] * 4
    assert np.isnan(images.codes).all() and images.codes.shape == (4, served.CODES)
    assert images.truncation.tolist() == [1.0] * 4
    assert (images.weights, images.noise) == ("0", None)
    plain = clients("digits").generate(4, seed=3)
    assert (plain.classes, plain.codes, plain.truncation) == (None, None, None)


def test_truncation_goes_to_the_average(clients: Any) -> None:
    options = {"classes": "cat", "codes": [0.0, 0.0]}
    images = clients("animals").generate(6, seed=0, truncation=0.0, **options).array
    assert (images == images[0]).all()
    assert not (clients("animals").generate(6, seed=0, **options).array == images).all()


def test_formats_hold_the_same_images(clients: Any) -> None:
    client = clients("animals", chunk_rows=4)
    options: dict[str, Any] = {"seed": -2, "classes": "dog", "codes": [0.25, -0.5], "truncation": 0.75}
    pixels, png, floats = (client.generate(9, format=form, **options) for form in ("pixels", "png", "float"))
    assert len(png.pngs) == 9 and png.pngs[0].startswith(b"\x89PNG")
    assert close_to(decode_pngs(png.pngs), pixels.array) and close_to(png.array, pixels.array)
    assert floats.array.dtype == np.float32 and np.abs(floats.array).max() <= 1
    assert close_to(np.clip(np.round((floats.array + 1) * 127.5), 0, 255), pixels.array)
    assert floats.seeds.tolist() == pixels.seeds.tolist()


@pytest.mark.parametrize(("model", "image_bytes"), [("float", 4 * 5 * 3 * 4), ("digits", 4 * 3 * 3 * 4)])
def test_an_answer_holds_what_the_client_accepts(clients: Any, model: str, image_bytes: int) -> None:
    images = clients(model, max_message_bytes=20 * image_bytes).generate(64, seed=0, format="float")
    assert images.attempts > 64 / 20
    at_once = clients(model).generate(64, seed=0, format="float").array
    assert np.allclose(images.array, at_once, atol=1e-6)


def test_noise_draws_what_its_seeds_draw(clients: Any) -> None:
    client = clients("animals", chunk_rows=4)
    options: dict[str, Any] = {"classes": [0, 1, 2, 0, 1, 2], "codes": [0.25, -0.5]}
    latents = client.latents(range(6))
    assert latents.dtype == np.float32 and latents.shape == (6, served.LATENT_DIM)
    for form in ("pixels", "float"):
        drawn = client.generate(noise=latents, format=form, **options)
        assert drawn.seeds is None
        assert close_to(drawn.array, client.generate(6, seed=0, format=form, **options).array)
    assert client.latents([]).shape == (0, served.LATENT_DIM)
    assert client.generate(noise=np.zeros((0, served.LATENT_DIM)), classes=[]).array.shape == (
        0,
        *served.IMAGE,
    )


@pytest.mark.parametrize("how", ["slerp", "lerp"])
def test_an_interpolation_goes_from_one_image_to_the_other(clients: Any, how: Any) -> None:
    client = clients("animals")
    options: dict[str, Any] = {"classes": "owl", "codes": [0.0, 1.0]}
    way = client.interpolate(7, 8, 5, how=how, **options)
    ends = client.generate(seeds=[7, 8], **options).array
    assert way.array.shape == (5, *served.IMAGE) and way.seeds is None
    assert close_to(way.array[[0, -1]], ends)
    start, end = client.latents([7, 8])
    middle = client.generate(noise=between(start, end, 5, how), **options).array
    assert close_to(way.array, middle)
    assert close_to(client.interpolate(7, 7, 3, how=how, **options).array, ends[[0, 0, 0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.generate(noise=np.zeros((16, 128))), "takes noise [n, 5]; received [16, 128]"),
        (lambda c: c.generate(noise=[1.0, 2.0]), "noise must be numbers of shape [n, Z]"),
        (lambda c: c.generate(noise=[["a"]]), "noise must be numbers"),
        (lambda c: c.generate(noise=[[1e300] * 5]), "noise must be finite; row 0 is not"),
        (lambda c: c.generate(noise=[[0.0] * 5, [np.nan] * 5]), "noise must be finite; row 1 is not"),
        (lambda c: c.generate(3, noise=np.zeros((3, 5))), "pass either noise or seeds"),
        (lambda c: c.generate(3, codes=[1.0]), "takes codes [2] for all images or [3, 2]"),
        (lambda c: c.generate(3, codes=0.5), "takes codes [2]"),
        (lambda c: c.generate(3, codes=[np.inf, 0]), "not finite"),
        (lambda c: c.generate(3, codes="ab"), "codes must be numbers"),
        (
            lambda c: c.generate(3, truncation=[0.5, 0.5]),
            "one finite truncation for all 3 images or one for each",
        ),
        (lambda c: c.generate(3, truncation=np.nan), "finite"),
        (lambda c: c.generate(3, classes="bird"), "has no class 'bird'"),
        (lambda c: c.generate(3, format="float"), "choose the classes"),
        (lambda c: c.generate(3, format="float", classes=0), "choose the codes"),
        (lambda c: c.interpolate(1, 2, 3), "choose the classes"),
        (lambda c: c.interpolate(1, 2, 1), "at least 2 steps"),
        (lambda c: c.interpolate(1, 2, 10**9), "at most 100000 images"),
        (lambda c: c.interpolate(1, 2, 2.5), "steps must be an integer"),
        (lambda c: c.interpolate(1, 2**63, 3), "integers that fit int64"),
        (lambda c: c.interpolate(1, 2, 3, how="straight"), "how must be one of slerp, lerp"),
        (lambda c: c.generate(3, key="anna"), "routing"),
    ],
)
def test_what_the_model_does_not_take_is_refused(clients: Any, call: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(clients("animals"))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("option", [{"classes": 0}, {"codes": [0.0, 0.0]}, {"truncation": 0.5}])
def test_a_model_without_conditions_takes_none(clients: Any, option: dict[str, Any]) -> None:
    with pytest.raises(
        UsageError, match=r"^model 'digits' version 1 has no \w+; leave (them|it) out$"
    ) as caught:
        clients("digits").generate(3, **option)
    assert (caught.value.model, caught.value.version) == ("digits", 1)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"noise": np.zeros((2, 9), np.float32)}, "takes noise float32 [?, 5]; received float32 [2, 9]"),
        ({"noise": np.zeros((2, 5))}, "takes noise float32 [?, 5]; received float64 [2, 5]"),
        ({"noise": np.zeros(5, np.float32)}, "received float32 [5]"),
        ({"noise": ["a"]}, "takes noise float32 [?, 5]; received <U1 [1]"),
        ({"z": [[0.0] * 5]}, "takes noise; received z"),
        ({}, "takes noise; received nothing"),
    ],
)
def test_predict_refuses_what_would_fail_its_neighbours(clients: Any, inputs: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        clients("digits").predict(inputs)
    assert message in str(caught.value) and "model 'digits' version 1" in str(caught.value)


def test_predict_takes_lists_and_names_signatures(clients: Any) -> None:
    client = clients("digits")
    assert client.predict({"noise": [[0, 1, 2, 3, 4]]})["images"].shape == (1, *served.IMAGE)
    assert client.predict({"seeds": [1, 2]}, signature="latents")["noise"].shape == (2, served.LATENT_DIM)
    with pytest.raises(ModelError, match=r"has no signature 'nope'; it has card, latents, pixels"):
        client.predict({}, signature="nope")


@pytest.mark.parametrize(
    ("kind", "options"), [("float", {}), ("unit", {"value_range": (0, 1)}), ("bytes", {})]
)
def test_a_foreign_model_draws_from_noise_of_numpy(clients: Any, kind: str, options: Any) -> None:
    client = clients(kind, **options)
    images = client.generate(seeds=[7, -8, 2**62])
    assert images.array.dtype == np.uint8 and images.array.shape == (3, 4, 5, 3)
    assert (images.noise, images.version, images.weights) == ("philox", 1, None)
    latents = client.latents([7, -8, 2**62])
    for row, key in zip(latents, (7, 2**64 - 8, 2**62), strict=True):
        philox = np.random.Generator(np.random.Philox(key=key))
        assert np.array_equal(row, philox.standard_normal(served.LATENT_DIM, np.float32))
    answer = client.predict({"z": latents})["generated"]
    low, high = options.get("value_range", (-1, 1))
    levels = answer if kind == "bytes" else np.clip(np.round((answer - low) / (high - low) * 255), 0, 255)
    assert close_to(images.array, levels)
    assert close_to(client.generate(noise=latents).array, images.array)
    assert client.generate(noise=latents).noise is None
    assert close_to(client.interpolate(7, -8, 3).array[[0, -1]], images.array[:2])
    png = client.generate(2, seed=7, format="png")
    assert close_to(png.array[:1], images.array[:1])
    floats = client.generate(seeds=[7, -8, 2**62], format="float")
    assert floats.array.dtype == np.float32
    assert close_to(np.stack([np.asarray(image) for image in floats.pil()]), images.array)
    assert client.generate(0).array.shape == (0, 4, 5, 3)
    with pytest.raises(UsageError, match="has no classes"):
        client.generate(1, classes=0)


def test_copies_may_read_floats_in_ranges_of_their_own(clients: Any) -> None:
    client = clients("unit", value_range=(0, 1))
    images = client.generate(4, seed=7).array
    with client.with_options(value_range=(0, 2)) as copy:
        assert close_to(copy.generate(4, seed=7).array, images / 2)
    assert close_to(client.generate(4, seed=7).array, images)


@pytest.mark.parametrize("kind", ["two_inputs", "sideways", "classifier"])
def test_a_foreign_model_that_draws_no_images(clients: Any, kind: str) -> None:
    with pytest.raises(ModelError) as caught:
        clients(kind).generate(3)
    for part in (
        f"model {kind!r} version 1",
        "signature 'serving_default'",
        "float32 [?, 5]",
        "Client.predict(",
    ):
        assert part in str(caught.value)
