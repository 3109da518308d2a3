"""From the graph of a trained generator to one made for inference, each step proven on the spot."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from gannet_client.errors import ModelError
from gannet_export.rewriting.freezing import NotFreezable, fold_constants, freeze
from gannet_export.rewriting.graph import Graph
from gannet_export.rewriting.half import convolutions_to_bfloat16
from gannet_export.rewriting.normalization import fold_scales, merge_shifts
from gannet_export.rewriting.proof import BFLOAT16, FLOAT32, Bound, drawn
from gannet_export.rewriting.subpixel import to_subpixels

__all__ = ["NotFreezable", "Precision", "Rewriting", "rewrite"]

FEW_CHANNELS = 4
"""Up to so many output channels a transposed convolution in float32 is faster by sub-pixels."""

HALVED = "convolutions in bfloat16"

log = logging.getLogger(__name__)

Precision: TypeAlias = Literal["float32", "bfloat16"]
Step = Callable[[Graph], int]


class Rewriting:
    """Rewrites a graph step by step and keeps only what draws the same images.

    Args:
        function: concrete, of one output: images in [-1, 1].
        rows: inputs to compare on, by the name of the argument, [N, ...].

    Attributes:
        graph: as far as it is rewritten.
        report: how many places each step changed, by its name.
    """

    def __init__(self, function: Any, rows: Mapping[str, np.ndarray]) -> None:
        self._specs = list(function.structured_input_signature[0])
        self.graph = freeze(function)
        self.report: dict[str, int] = {}
        self._rows = rows
        self._expected = drawn(self.graph, rows)

    def try_step(self, name: str, step: Step, bound: Bound) -> bool:
        """Take a step if the images stay within a bound of the plain graph's; tell whether it was taken."""
        candidate = self.graph.copy()
        changed = step(candidate)
        if changed and not bound.holds(drawn(candidate, self._rows), self._expected):
            return False
        self.graph = candidate
        self.report[name] = changed
        return True

    @property
    def precision(self) -> Precision:
        """Of the convolutions."""
        return "bfloat16" if self.report.get(HALVED) else "float32"

    def summary(self) -> dict[str, Any]:
        """What was done, for the model card."""
        return {"precision": self.precision, "rewritten": self.report}

    def function(self) -> Any:
        """The graph as a concrete function, of which a SavedModel keeps one copy for all its signatures."""
        definition, output = self.graph.graph_def(), f"{self.graph.output}:0"

        def draw(*given: tf.Tensor) -> tf.Tensor:
            rows = tf.shape(given[0])[0]
            feeds = {f"{spec.name}:0": _not_empty(x) for spec, x in zip(self._specs, given, strict=True)}
            (images,) = tf.graph_util.import_graph_def(definition, feeds, [output], name="")
            return images[:rows]

        return tf.function(draw, jit_compile=False, autograph=False).get_concrete_function(*self._specs)


def _not_empty(values: tf.Tensor) -> tf.Tensor:
    """Add a row if there is none: oneDNN's fused convolutions give no rows a wrong number of channels."""
    missing = tf.cast(tf.equal(tf.shape(values)[0], 0), tf.int32)
    return tf.pad(values, [[0, missing], *([[0, 0]] * (values.shape.rank - 1))])


def rewrite(
    function: Any, rows: Mapping[str, np.ndarray], *, precision: Precision = "float32", strict: bool = False
) -> Rewriting:
    """Make the graph of a generator fast.

    Variables become constants; scales and shifts, BatchNormalization among them, are folded into kernels and
    biases; transposed convolutions become ordinary ones where that is faster. What is not known stays as it
    is.

    Args:
        function: concrete, of one output: images in [-1, 1].
        rows: inputs to compare on, by the name of the argument, [N, ...].
        precision: "float32", or "bfloat16" for the convolutions.
        strict: refuse where bfloat16 draws other images, instead of staying in float32.

    Raises:
        NotFreezable: the function cannot be written as one graph of constants.
        ModelError: `strict`, and the images of bfloat16 are too far from the plain graph's.
    """
    rewriting = Rewriting(function, rows)
    half = precision == "bfloat16"
    steps: dict[str, Step] = {
        "constants folded": fold_constants,
        "scales folded into kernels": fold_scales,
        "shifts merged into biases": merge_shifts,
        "transposed convolutions as sub-pixels": lambda graph: to_subpixels(
            graph, None if half else FEW_CHANNELS
        ),
    }
    for name, step in steps.items():
        if not rewriting.try_step(name, step, FLOAT32):
            log.warning("left out of the export: %s; the images would not be the same", name)
    if half:
        _halve(rewriting, strict)
    return rewriting


def _halve(rewriting: Rewriting, strict: bool) -> None:
    if rewriting.try_step(HALVED, convolutions_to_bfloat16, BFLOAT16):
        return
    if rewriting.try_step(HALVED, lambda graph: convolutions_to_bfloat16(graph, keep_last=True), BFLOAT16):
        log.warning("the last convolution stays in float32: bfloat16 would draw other images")
        return
    message = "expected images within two grey levels in bfloat16, received others"
    if strict:
        raise ModelError(f"{message}; nothing was published, export in float32")
    log.warning("%s; the export stays in float32", message)
