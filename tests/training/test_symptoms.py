"""What is wrong with a run, told by its measures alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_training.symptoms import (
    COLLAPSED_DIVERSITY,
    DEAD,
    LASTING_EPOCHS,
    LASTING_STEPS,
    SATURATED,
    VANISHED_GRADIENT,
    Symptom,
    find_symptoms,
    lasting_from,
)

HEALTHY = {
    "d_real": 0.6,
    "d_fake": 0.4,
    "d_loss": 1.0,
    "d_gradient_norm": 2.0,
    "g_gradient_norm": 1.0,
    "diversity": 0.9,
}
ILL: dict[str, tuple[Symptom, dict[str, float]]] = {
    "won": (SATURATED, {"d_real": 0.999, "d_fake": 0.001, "d_loss": 2e-3}),
    "won by hinges": (SATURATED, {"d_real": 0.75, "d_fake": 0.25, "d_loss": 0.0, "d_gradient_norm": 0.0}),
    "same answer": (DEAD, {"d_real": 0.5, "d_fake": 0.5, "d_gradient_norm": 1e-7}),
    "critic of tiny weights": (DEAD, {"d_real": 0.5, "d_fake": 0.5, "d_loss": 0.0, "g_gradient_norm": 1e-9}),
    "nothing reaches the generator": (VANISHED_GRADIENT, {"g_gradient_norm": 5e-4}),
    "one image": (COLLAPSED_DIVERSITY, {"diversity": 0.01}),
}
MEASURES = st.fixed_dictionaries({name: st.none() | st.floats(-1e6, 1e6) for name in HEALTHY})


def history(*epochs: dict[str, float], steps: int = 50) -> list[dict[str, Any]]:
    return [{**HEALTHY, **epoch, "step": steps * (place + 1)} for place, epoch in enumerate(epochs)]


@pytest.mark.parametrize(("symptom", "measures"), ILL.values(), ids=ILL.keys())
def test_what_lasts_is_named_alone(symptom: Symptom, measures: dict[str, float]) -> None:
    assert find_symptoms(history({}, {}, measures, measures, measures)) == [symptom]


@pytest.mark.parametrize("measures", [measures for _, measures in ILL.values()], ids=ILL.keys())
def test_a_bad_moment_is_no_symptom(measures: dict[str, float]) -> None:
    assert find_symptoms(history({}, measures, measures)) == []
    assert find_symptoms(history(measures, measures, {}, measures, measures)) == []
    assert find_symptoms(history(measures, measures, measures, steps=LASTING_STEPS // 4)) == []


@pytest.mark.parametrize(
    "measures",
    [
        {"d_real": 1.0, "d_fake": 0.0, "d_loss": -30.0},
        {"d_real": 0.5, "d_fake": 0.5, "d_loss": 1.386},
        {"d_real": 0.9, "d_fake": 0.05, "d_loss": 0.33},
    ],
    ids=["a critic with the upper hand", "an equilibrium", "a strong discriminator"],
)
def test_ordinary_games_have_none(measures: dict[str, float]) -> None:
    assert find_symptoms(history(*[measures] * 9)) == []


def test_smoothed_labels_bound_what_a_discriminator_can_say() -> None:
    epochs = history(*[{"d_real": 0.9, "d_fake": 0.001, "d_loss": 0.326}] * 4)
    assert find_symptoms(epochs, label_smoothing=0.1) == [SATURATED]
    assert find_symptoms(epochs) == []


def test_an_average_that_has_not_settled_may_look_alike() -> None:
    epochs = history(*[{"diversity": 0.01}] * 6)
    assert find_symptoms(epochs, settled_step=200) == []
    assert find_symptoms(epochs, settled_step=100) == [COLLAPSED_DIVERSITY]


@given(st.lists(MEASURES, max_size=8), st.integers(1, 200), st.floats(0, 0.9))
def test_one_healthy_epoch_at_the_end_means_health(
    epochs: list[dict[str, float]], steps: int, smoothing: float
) -> None:
    healthy = {**HEALTHY, "g_gradient_norm": 1e6}
    assert find_symptoms(history(*epochs, healthy, steps=steps), label_smoothing=smoothing) == []


@given(st.lists(st.integers(1, 100), max_size=20))
def test_a_verdict_rests_on_the_fewest_epochs_that_are_enough(lengths: list[int]) -> None:
    epochs = [{"step": sum(lengths[: place + 1])} for place in range(len(lengths))]
    start = lasting_from(epochs)
    enough = len(lengths) >= LASTING_EPOCHS and sum(lengths) >= LASTING_STEPS
    assert (start is not None) == enough
    if start is not None:
        assert len(lengths[start:]) >= LASTING_EPOCHS
        assert sum(lengths[start:]) >= LASTING_STEPS
        assert len(lengths[start + 1 :]) < LASTING_EPOCHS or sum(lengths[start + 1 :]) < LASTING_STEPS
