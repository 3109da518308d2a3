"""The input pipeline is a pure function of seed and step."""

import itertools

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_export import noise
from gannet_training.data import in_memory
from gannet_training.draws import Draw
from gannet_training.pipeline import batches


def numbered(size: int) -> np.ndarray:
    """Images that are their own number."""
    return np.arange(size, dtype=np.float32).reshape(size, 1, 1, 1)


def stream(
    size: int,
    batch_size: int,
    seed: int,
    first_step: int,
    steps: int,
    discriminator_steps: int = 1,
    draws: dict[str, Draw] | None = None,
) -> list[dict[str, np.ndarray]]:
    data = batches(
        in_memory(numbered(size)),
        batch_size=batch_size,
        draws=draws or {},
        seed=seed,
        discriminator_steps=discriminator_steps,
        first_step=first_step,
    )
    return list(itertools.islice(data.as_numpy_iterator(), steps))


DRAWS = {"noise": Draw("latents", (2, 3)), "alpha": Draw("uniform", (2,)), "jitter": Draw("normal", (2, 1))}


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(1, 40),
    batch_size=st.integers(1, 16),
    turns=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_epoch_shows_every_image_once(size: int, batch_size: int, turns: int, seed: int) -> None:
    epochs = 3
    steps = -(-epochs * size // (batch_size * turns))
    seen = [batch["images"].T.ravel() for batch in stream(size, batch_size, seed, 0, steps, turns)]
    order = np.concatenate(seen)[: epochs * size].astype(int).reshape(epochs, size)
    assert all(sorted(epoch) == list(range(size)) for epoch in order.tolist())


def test_epochs_and_seeds_differ_in_their_order() -> None:
    first, second = (batch["images"].ravel().tolist() for batch in stream(64, 64, 0, 0, 2))
    (other,) = (batch["images"].ravel().tolist() for batch in stream(64, 64, 1, 0, 1))
    assert first != second
    assert first != other


@settings(max_examples=5, deadline=None)
@given(first_step=st.integers(0, 2**40), seed=st.integers(0, 2**32 - 1))
def test_a_stream_that_starts_later_is_the_same_stream(first_step: int, seed: int) -> None:
    whole = stream(10, 4, seed, first_step, 3, 2, DRAWS)
    resumed = stream(10, 4, seed, first_step + 1, 2, 2, DRAWS)
    for expected, received in zip(whole[1:], resumed, strict=True):
        assert expected.keys() == {"images", *DRAWS}
        for name in expected:
            np.testing.assert_array_equal(expected[name], received[name])


def test_no_latent_comes_twice() -> None:
    latents = np.concatenate([batch["noise"].reshape(-1, 3) for batch in stream(10, 16, 0, 0, 20, 2, DRAWS)])
    assert len(latents) == 20 * 16 * 2
    assert len(np.unique(latents, axis=0)) == len(latents)


def test_draws_are_what_they_are_called_and_independent() -> None:
    draws = {"a": Draw("uniform", (1000,)), "b": Draw("uniform", (1000,)), "c": Draw("normal", (1000,))}
    (batch,) = stream(4, 4, 0, 0, 1, draws=draws)
    assert 0 <= batch["a"].min() < 0.01 < 0.99 < batch["a"].max() < 1
    assert abs(batch["c"].mean()) < 0.1
    assert abs(batch["c"].std() - 1) < 0.1
    assert abs(np.corrcoef(batch["a"].ravel(), batch["b"].ravel())[0, 1]) < 0.1


def test_no_thread_tunes_the_pipeline() -> None:
    """The end of an iterator waited for it, up to a minute."""
    data = batches(in_memory(numbered(4)), batch_size=4, draws={}, seed=0)
    assert data.options().autotune.enabled is False


def test_labels_stay_with_their_images() -> None:
    labels = np.arange(10)[::-1].copy()
    source = in_memory(numbered(10), labels, [str(label) for label in range(10)])
    data = batches(source, batch_size=4, draws={}, seed=0, labelled=True, discriminator_steps=2)
    for batch in itertools.islice(data.as_numpy_iterator(), 5):
        np.testing.assert_array_equal(batch["labels"], 9 - batch["images"][..., 0, 0, 0].astype(int))


@settings(max_examples=10, deadline=None)
@given(seeds=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), latent_dim=st.integers(1, 5))
def test_noise_of_a_seed_is_its_own_in_every_mode(seeds: list[int], latent_dim: int) -> None:
    together = noise(tf.constant(seeds, tf.int64), latent_dim).numpy()
    assert together.shape == (len(seeds), latent_dim)
    compiled = tf.function(lambda values: noise(values, latent_dim))(tf.constant(seeds, tf.int64)).numpy()
    np.testing.assert_array_equal(together, compiled)
    for seed, row in zip(seeds, together, strict=True):
        np.testing.assert_array_equal(noise(tf.constant([seed], tf.int64), latent_dim).numpy()[0], row)


def test_noise_is_standard_normal() -> None:
    values = tf.function(noise)(tf.range(1000), 50).numpy()
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
