"""What can be wrong with a run, told by the measures of its epochs alone."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Record = Mapping[str, float | None]
"""One epoch: its last `step` and its measures by name; None for one that is not finite."""

LASTING_EPOCHS, LASTING_STEPS = 3, 100
"""A symptom is told when it has lasted for so many epochs and steps: every healthy run has a bad moment."""
WON_GAP = 0.99
"""Of D(x) over D(G(z)): wrong less than once in a hundred images. Healthy games stay below 0.9."""
WON_LOSS = 1e-3
"""Of a discriminator whose loss has the lower bound 0: nothing is left to learn from."""
SAME_ANSWER = 0.01
"""Of D(x) over D(G(z)): networks that start to learn, or are in balance, show no more, but have slopes."""
VANISHED = 1e-5
"""Norm of a gradient: spread over 10,000 weights it is 1e-7 for each, which Adam's epsilon swallows."""
VANISHED_SHARE = 1e-3
"""The same, as a share of the run's median so far: a generator's gradient grows while it learns."""
COLLAPSED = 0.05
"""Spread of drawn images relative to that of real ones. A grey level of difference is 0.02 to 0.03."""


@dataclass(frozen=True)
class Symptom:
    """Something that is wrong.

    Attributes:
        name: of it.
        words: what is seen, a clause.
        advice: what to do, a clause.
    """

    name: str
    words: str
    advice: str


SATURATED = Symptom(
    "discriminator saturated",
    "the discriminator tells real from drawn images without fail, which teaches the generator nothing",
    "lower --discriminator-learning-rate, or pass --label-smoothing 0.1, --instance-noise 0.1 or --augment",
)
DEAD = Symptom(
    "dead critic",
    "the discriminator gives real and drawn images the same answer, and no gradient to learn from",
    "raise --weight-clip if it is given, lower the learning rate, or choose another --initializer",
)
VANISHED_GRADIENT = Symptom(
    "generator gradient vanished",
    "the gradient that reaches the generator is next to nothing",
    "choose --objective non_saturating or hinge, or lower --discriminator-learning-rate",
)
COLLAPSED_DIVERSITY = Symptom(
    "collapsed diversity",
    "the images drawn from different noise are all the same",
    "go back to the best checkpoint and lower the learning rate, or pass "
    "--objective wasserstein --gradient-penalty 10",
)


def non_finite(term: str) -> Symptom:
    """The symptom of a value that is infinite or not a number.

    Args:
        term: name of the one that was the first.
    """
    return Symptom(
        "non-finite term",
        f"{term} is infinite or not a number",
        "lower the learning rate, or look for such values in the data",
    )


def find_symptoms(
    history: Sequence[Record], *, label_smoothing: float = 0.0, settled_step: int = 0
) -> list[Symptom]:
    """Tell what is wrong at the end of a history.

    Args:
        history: of all epochs, oldest first.
        label_smoothing: of the run: what D(x) is to be below 1.
        settled_step: up to it the moving average still shows the untrained generator, whose images look all
            the same.

    Example:
        >>> healthy = {"d_real": 0.7, "d_fake": 0.3, "d_loss": 0.7}
        >>> won = {"d_real": 0.999, "d_fake": 0.001, "d_loss": 0.002}
        >>> history = [{"step": 50.0 * (n + 1), **(won if n else healthy)} for n in range(4)]
        >>> [symptom.name for symptom in find_symptoms(history)]
        ['discriminator saturated']
        >>> find_symptoms(history[:3])
        []
    """
    start = lasting_from(history)
    if start is None:
        return []
    norms = [norm for norm in (_value(record, "g_gradient_norm") for record in history[:start]) if norm > 0]
    vanished = max(VANISHED, VANISHED_SHARE * statistics.median(norms)) if norms else VANISHED
    rules: dict[Symptom, Callable[[Record], bool]] = {
        SATURATED: lambda record: _has_won(record, label_smoothing),
        DEAD: _is_dead,
        VANISHED_GRADIENT: lambda record: _value(record, "g_gradient_norm") < vanished,
        COLLAPSED_DIVERSITY: lambda record: (
            _value(record, "diversity") < COLLAPSED and _value(record, "step") > settled_step
        ),
    }
    found = [symptom for symptom, holds in rules.items() if all(map(holds, history[start:]))]
    if SATURATED in found or DEAD in found:
        # Of which it is but the consequence.
        found = [symptom for symptom in found if symptom != VANISHED_GRADIENT]
    return found


def lasting_from(history: Sequence[Record]) -> int | None:
    """Find where the epochs start on which :func:`find_symptoms` decides; None while they are too few.

    Example:
        >>> lasting_from([{"step": 40.0 * n} for n in range(1, 6)])
        2
    """
    for start in range(len(history) - LASTING_EPOCHS, -1, -1):
        before = _value(history[start - 1], "step") if start else 0.0
        if _value(history[-1], "step") - before >= LASTING_STEPS:
            return start
    return None


def _has_won(record: Record, label_smoothing: float) -> bool:
    gap = _value(record, "d_real") - _value(record, "d_fake")
    loss = _value(record, "d_loss")
    # A critic's loss has no lower bound; that of one that has the upper hand is below 0.
    return loss >= 0 and (gap > WON_GAP * (1 - label_smoothing) or (loss < WON_LOSS and gap > SAME_ANSWER))


def _is_dead(record: Record) -> bool:
    gap = _value(record, "d_real") - _value(record, "d_fake")
    slopes = (_value(record, "d_gradient_norm"), _value(record, "g_gradient_norm"))
    return abs(gap) < SAME_ANSWER and any(slope < VANISHED for slope in slopes)


def _value(record: Record, name: str) -> float:
    """A value of a record; not a number, and so beyond no threshold, where there is none."""
    value = record.get(name)
    return math.nan if value is None else value
