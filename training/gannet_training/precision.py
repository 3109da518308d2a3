"""Computing in half precision; loss scaling for float16, with a verdict that all replicas share."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf
from keras import ops

FIRST_FACTOR = 2.0**15
STEPS_TO_DOUBLE = 2_000


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let the layers that are made meanwhile compute in "bfloat16" or "float16"; "float32" changes nothing.

    Weights stay what they are by default, float32.

    Example:
        >>> with computing_in("bfloat16"):
        ...     layer = keras.layers.Dense(1)
        >>> layer.compute_dtype, layer.variable_dtype, keras.layers.Dense(1).compute_dtype
        ('bfloat16', 'float32', 'float32')
    """
    before = keras.config.dtype_policy()
    if precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class Guard(keras.layers.Layer):
    """Scales losses up and gradients down, and leaves out updates that are not finite.

    Micikevicius et al., 2018, arXiv:1710.03740, section 3.2. One update is left out on all replicas or on
    none: the verdict is reduced over them, while Keras' own `LossScaleOptimizer` looks at replica 0 alone.

    Args:
        active: whether to scale at all; otherwise the guard only passes on.

    Attributes:
        factor: what losses are multiplied by at the moment; halved after an update that was left out, doubled
            after `STEPS_TO_DOUBLE` good ones.
    """

    def __init__(self, active: bool) -> None:
        super().__init__(dtype="float32", name="guard")
        self.active = active
        self.factor = self._number("factor", FIRST_FACTOR if active else 1.0)
        self.good_updates = self._number("good_updates", 0.0)
        self.built = True

    def _number(self, name: str, value: float) -> keras.Variable:
        initializer = keras.initializers.Constant(value)
        return self.add_weight(name=name, shape=(), initializer=initializer, trainable=False)

    def scale(self, loss: tf.Tensor) -> tf.Tensor:
        """Scale a loss whose gradients go to :meth:`apply`."""
        return loss * ops.cast(self.factor, loss.dtype) if self.active else loss

    def unscaled(self, norm: tf.Tensor) -> tf.Tensor:
        """Give the norm before scaling; 0 where scaling made it infinite, which is nothing unusual."""
        if not self.active:
            return norm
        return ops.where(ops.isfinite(norm), norm / ops.cast(self.factor, norm.dtype), 0.0)

    def apply(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: list[tf.Tensor],
        variables: list[keras.Variable],
    ) -> None:
        """Let an optimizer apply gradients of a scaled loss, if those of every replica are finite."""
        if not self.active:
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return
        good = self._all_finite(gradients)
        state = [*variables, *optimizer.variables]
        before = [tf.identity(variable.value) for variable in state]
        usable = [ops.where(good, gradient / self.factor, 0.0) for gradient in gradients]
        optimizer.apply_gradients(zip(usable, variables, strict=True))
        # No merge call may stand in a tf.cond: the update is made and, where need be, taken back.
        for variable, value in zip(state, before, strict=True):
            variable.assign(ops.where(good, variable, value))
        self._adapt(good)

    def _all_finite(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        bad = sum(tf.reduce_sum(tf.cast(~tf.math.is_finite(gradient), tf.float32)) for gradient in gradients)
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            bad = replica.all_reduce(tf.distribute.ReduceOp.SUM, bad)
        return tf.equal(bad, 0.0)

    def _adapt(self, good: tf.Tensor) -> None:
        count = ops.where(good, self.good_updates + 1.0, 0.0)
        double = ops.greater_equal(count, STEPS_TO_DOUBLE)
        grown = ops.where(double, 2.0 * self.factor, self.factor)
        self.factor.assign(ops.where(good, grown, ops.maximum(self.factor / 2.0, 1.0)))
        self.good_updates.assign(ops.where(double, 0.0, count))
