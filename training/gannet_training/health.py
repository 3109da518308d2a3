"""A watch over training that says in words what is wrong."""

import logging
import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from gannet_client.errors import GannetError
from gannet_training.symptoms import Record, Symptom, find_symptoms, lasting_from, non_finite

log = logging.getLogger(__name__)


class Unhealthy(GannetError):
    """Training has a symptom that it is not to go on with.

    Attributes:
        symptom: which.
        step: at which it was found.
        healthy_step: the last one before it began, as far as is known.
    """

    def __init__(self, symptom: Symptom, step: int, healthy_step: int, outcome: str = "") -> None:
        told = f"{symptom.name} at step {step}: {symptom.words}; {symptom.advice}"
        super().__init__(f"{told}; {outcome}" if outcome else told)
        self.symptom = symptom
        self.step = step
        self.healthy_step = healthy_step

    def told(self, outcome: str) -> "Unhealthy":
        """The same, and what came of it."""
        return Unhealthy(self.symptom, self.step, self.healthy_step, outcome)


class Health(keras.callbacks.Callback):
    """Names what is wrong with the training of an :class:`AdversarialModel`.

    A term that is not finite ends training within one execution, because nothing that follows can be finite.
    The other symptoms are looked for at the end of every epoch, see
    :func:`gannet_training.symptoms.find_symptoms`: they are logged once, or end training as well.

    Args:
        stop: whether every symptom ends training.
        history: records of the epochs before, if training resumes; needs the same `step`s.
        settled_step: see :func:`gannet_training.symptoms.find_symptoms`.

    Raises:
        Unhealthy: from `fit`.
    """

    def __init__(self, *, stop: bool = False, history: Iterable[Record] = (), settled_step: int = 0) -> None:
        super().__init__()
        self._stop = stop
        self._history = list(history)
        self._settled_step = settled_step
        self._told: list[Symptom] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End training if a term is not finite: a mean of the epoch then is not, either."""
        if all(math.isfinite(value) for value in (logs or {}).values()) or self._may_recover():
            return
        term = self.model.measures.first_non_finite() or "a term"
        step = self.model.step
        raise Unhealthy(non_finite(term), step, step - 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look for the other symptoms."""
        self._history.append({"step": self.model.step, **(logs or {})})
        found = find_symptoms(
            self._history, label_smoothing=self.model.label_smoothing, settled_step=self._settled_step
        )
        for symptom in found:
            illness = Unhealthy(symptom, self.model.step, self._last_healthy_step())
            if self._stop:
                raise illness
            if symptom not in self._told:
                log.warning("%s", illness)
        self._told = found

    def _may_recover(self) -> bool:
        """Whether float16's loss scale can still be lowered; updates that are not finite were left out."""
        guard = self.model.guard
        return bool(guard.active and float(np.asarray(guard.factor)) > 1.0)

    def _last_healthy_step(self) -> int:
        start = lasting_from(self._history)
        return int(self._history[start - 1]["step"] or 0) if start else 0


def require_finite_weights(model: Any) -> None:
    """Refuse a model with a weight that is infinite or not a number: it is no checkpoint to go back to.

    Args:
        model: a compiled :class:`AdversarialModel`.

    Raises:
        Unhealthy: naming the first one.
    """
    networks = (model.generator, model.discriminator, model.ema_generator)
    optimizers = (model.optimizer, model.discriminator_optimizer)
    for variable in (variable for part in (*networks, *optimizers) for variable in part.variables):
        if not np.isfinite(np.asarray(variable)).all():
            raise Unhealthy(non_finite(f"the weight {variable.path}"), model.step, model.step - 1)
