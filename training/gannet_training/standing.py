"""What a checkpoint holds beside networks, optimizers and the step."""

from typing import Any

import keras
import numpy as np

from gannet_training.measures import Measures


class Standing(keras.layers.Layer):
    """Where a run stands: its best epoch so far, its roll-backs, and the measures of the epoch under way.

    Attributes:
        best_step: of the best epoch; -1 before there is one.
        best_value: its measure.
        roll_backs: made so far; each has changed the data order and the noise.
        judged_step: at which training began, or its last epoch was measured and judged; not saved.

    Args:
        measures: of the model.
    """

    def __init__(self, measures: Measures) -> None:
        super().__init__(name="standing")
        self.best_step = self._number("best_step", "int64", -1)
        self.best_value = self._number("best_value", "float64", 0)
        self.roll_backs = self._number("roll_backs", "int64", 0)
        self._sums = self._number("sums", "float64", 0, shape=(len(_sums(measures)),))
        self.judged_step = 0
        self.built = True

    def _number(self, name: str, dtype: str, value: float, shape: tuple[int, ...] = ()) -> keras.Variable:
        initializer = keras.initializers.Constant(value)
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=False, autocast=False
        )

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and measure of the best epoch, if there was one."""
        step = int(np.asarray(self.best_step))
        return None if step < 0 else (step, float(np.asarray(self.best_value)))

    @best.setter
    def best(self, best: tuple[int, float] | None) -> None:
        step, value = best or (-1, 0.0)
        self.best_step.assign(step)
        self.best_value.assign(value)

    @property
    def made_roll_backs(self) -> int:
        """How many there were so far."""
        return int(np.asarray(self.roll_backs))

    def note(self, measures: Measures) -> None:
        """Keep the sums of an epoch, which Keras does not save."""
        self._sums.assign([float(np.asarray(variable)) for variable in _sums(measures)])

    def recall(self, measures: Measures) -> None:
        """Give the sums back, so that an epoch that was interrupted has the means of a whole one."""
        for variable, value in zip(_sums(measures), np.asarray(self._sums), strict=True):
            variable.assign(value)


def _sums(measures: Measures) -> list[Any]:
    metrics = [*measures.means.values(), *measures.non_finite.values()]
    return [variable for metric in metrics for variable in metric.variables]
