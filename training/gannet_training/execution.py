"""What `fit` calls for each execution: one step, or several without a return to Python."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gannet_client.errors import UsageError

if TYPE_CHECKING:
    from gannet_training.adversarial import AdversarialModel

Logs = dict[str, tf.Tensor]


class TrainFunction:
    """Runs `steps_per_execution` steps of a model on what an iterator yields, and returns the metrics.

    Keras' own function does not run several steps under a strategy (it puts `strategy.run` into a condition),
    and cannot alternate two kinds of steps. Here the steps with and without the lazy R1 are compiled once
    each and chosen from outside, because no merge of replicas may stand in a condition.

    Args:
        model: compiled.

    Attributes:
        next_step: the number of the next step, known without asking a device.
        waited: seconds spent waiting for data since the function was made; measured when one step is run at a
            time, because several steps fetch their data inside the compiled function.
    """

    def __init__(self, model: "AdversarialModel") -> None:
        self.waited = 0.0
        self._model = model
        self._strategy = model.distribute_strategy
        self._steps = model.steps_per_execution
        self.next_step = model.step
        self._known: Any = None
        self._plain = self._compiled(regularize=False)
        self._regularized = self._compiled(regularize=True) if model.r1_interval else None

    def __call__(self, iterator: Any) -> Logs:
        """Run one execution.

        Raises:
            UsageError: the iterator does not yield what a step needs.
        """
        if iterator is not self._known:
            _require_batches(self._model, iterator.element_spec)
            self._known = iterator
        remaining, logs = self._steps, {}
        while remaining:
            regularize, count = self._run_length(remaining)
            logs = self._execute(iterator, regularize, count)
            remaining -= count
            self.next_step += count
        return logs

    def _run_length(self, remaining: int) -> tuple[bool, int]:
        """How many steps of which kind come next."""
        interval = self._model.r1_interval
        if not interval:
            return False, remaining
        into = self.next_step % interval
        return (True, 1) if into == 0 else (False, min(remaining, interval - into))

    def _execute(self, iterator: Iterator[Any], regularize: bool, count: int) -> Logs:
        one, several = self._regularized if regularize and self._regularized else self._plain
        if self._steps > 1:
            logs: Logs = several(iterator, tf.constant(count))
            return logs
        started = time.perf_counter()
        data = next(iterator)
        self.waited += time.perf_counter() - started
        return one(data)

    def _compiled(
        self, *, regularize: bool
    ) -> tuple[Callable[[Any], Logs], Callable[[Any, tf.Tensor], Logs]]:
        @tf.autograph.experimental.do_not_convert
        def replica_step(data: Any) -> Logs:
            return self._model.train_step(data, regularize=regularize)

        step = tf.function(replica_step, jit_compile=True) if self._model.jit_compile else replica_step

        @tf.function
        def one(data: Any) -> Logs:
            self._strategy.run(step, (data,))
            return self._model.measures.results()

        @tf.function
        def several(iterator: Iterator[Any], count: tf.Tensor) -> Logs:
            for _ in tf.range(count):
                self._strategy.run(step, (next(iterator),))
            return self._model.measures.results()

        return one, several


def _require_batches(model: "AdversarialModel", spec: Any) -> None:
    expected = {"images", *model.draws, *(("labels",) if model.classes else ())}
    received = spec.keys() if isinstance(spec, dict) else {type(spec).__name__}
    if not expected <= received:
        raise UsageError(
            f"expected batches of {', '.join(sorted(expected))}, received {', '.join(sorted(received))}; "
            "make them with gannet_training.batches(source, draws=model.draws, ...)"
        )
    drawn = [model.discriminator_steps, *model.image_shape]
    # With several replicas, it is one of theirs that has a shape.
    images = tf.nest.flatten(spec["images"], expand_composites=True)[0]
    if not images.shape[1:].is_compatible_with(drawn):
        raise UsageError(
            f"expected images of the shape {drawn} (discriminator steps, and what the generator draws), "
            f"received {images.shape[1:].as_list()}; let the generator draw images of the data's shape"
        )
