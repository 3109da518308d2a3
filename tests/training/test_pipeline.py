"""The input pipeline is a pure function of seed and step."""

import itertools

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from gannet_export import noise
from gannet_training.pipeline import batches


def numbered(size: int) -> np.ndarray:
    """Images that are their own number."""
    return np.arange(size, dtype=np.float32).reshape(size, 1, 1, 1)


def stream(size: int, batch_size: int, seed: int, first_step: int, steps: int) -> list[dict[str, np.ndarray]]:
    data = batches(numbered(size), batch_size=batch_size, latent_dim=3, seed=seed, first_step=first_step)
    return list(itertools.islice(data.as_numpy_iterator(), steps))


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 40), batch_size=st.integers(1, 16), seed=st.integers(0, 2**32 - 1))
def test_every_epoch_shows_every_image_once(size: int, batch_size: int, seed: int) -> None:
    epochs = 3
    seen = [
        batch["images"].ravel()
        for batch in stream(size, batch_size, seed, 0, -(-epochs * size // batch_size))
    ]
    order = np.concatenate(seen)[: epochs * size].astype(int).reshape(epochs, size)
    assert all(sorted(epoch) == list(range(size)) for epoch in order.tolist())


def test_epochs_and_seeds_differ_in_their_order() -> None:
    first, second = (batch["images"].ravel().tolist() for batch in stream(64, 64, 0, 0, 2))
    (other,) = (batch["images"].ravel().tolist() for batch in stream(64, 64, 1, 0, 1))
    assert first != second
    assert first != other


@settings(max_examples=10, deadline=None)
@given(first_step=st.integers(0, 2**40), seed=st.integers(0, 2**32 - 1))
def test_a_stream_that_starts_later_is_the_same_stream(first_step: int, seed: int) -> None:
    whole = stream(10, 4, seed, first_step, 3)
    resumed = stream(10, 4, seed, first_step + 1, 2)
    for expected, received in zip(whole[1:], resumed, strict=True):
        for name in expected:
            np.testing.assert_array_equal(expected[name], received[name])


def test_no_latent_comes_twice() -> None:
    latents = np.concatenate([batch["noise"] for batch in stream(10, 16, 0, 0, 20)])
    assert len(np.unique(latents, axis=0)) == len(latents)


@settings(max_examples=20, deadline=None)
@given(seeds=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6), latent_dim=st.integers(1, 5))
def test_noise_of_a_seed_is_its_own_in_every_mode(seeds: list[int], latent_dim: int) -> None:
    together = noise(tf.constant(seeds, tf.int64), latent_dim).numpy()
    assert together.shape == (len(seeds), latent_dim)
    compiled = tf.function(lambda values: noise(values, latent_dim))(tf.constant(seeds, tf.int64)).numpy()
    np.testing.assert_array_equal(together, compiled)
    for seed, row in zip(seeds, together, strict=True):
        np.testing.assert_array_equal(noise(tf.constant([seed], tf.int64), latent_dim).numpy()[0], row)


def test_noise_is_standard_normal() -> None:
    values = noise(range(1000), 50).numpy()
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
