"""From the graph of a trained generator to one made for inference, each step proven on the spot."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from gannet_client.errors import ModelError
from gannet_export.rewriting.freezing import NotFreezable, fold_constants, freeze
from gannet_export.rewriting.graph import Graph
from gannet_export.rewriting.half import convolutions_to_bfloat16
from gannet_export.rewriting.left import OTHER_IMAGES, Left, left
from gannet_export.rewriting.normalization import fold_scales, merge_shifts
from gannet_export.rewriting.proof import BFLOAT16, FLOAT32, Bound, Proof
from gannet_export.rewriting.subpixel import to_subpixels

__all__ = ["NotFreezable", "Precision", "Rewriting", "rewrite"]

FEW_CHANNELS = 4
"""Up to so many output channels a transposed convolution in float32 is faster by sub-pixels."""

HALVED = "convolutions in bfloat16"

BROKEN = (tf.errors.OpError, ValueError, KeyError, IndexError, TypeError)
"""What a graph that no step foresaw may raise."""

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
        refused: how many places a step would have changed that draws other images, by its name.

    Raises:
        NotFreezable: the function cannot be written as one graph of constants.
    """

    def __init__(self, function: Any, rows: Mapping[str, np.ndarray]) -> None:
        self._specs = list(function.structured_input_signature[0])
        self.graph = freeze(function)
        self.report: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self._proof = Proof(function, rows)
        if not self._draws_the_same(self.graph, FLOAT32):
            raise NotFreezable("as one graph of constants it does not draw the same images")

    def try_step(self, name: str, step: Step, bound: Bound) -> bool:
        """Take a step if the images stay within a bound of the plain graph's; tell whether it was taken."""
        candidate = self.graph.copy()
        try:
            changed = step(candidate)
        except BROKEN as error:
            _warn(error)
            self.refused[name] = 1
            return False
        if changed and not self._draws_the_same(candidate, bound):
            self.refused[name] = changed
            return False
        self.graph = candidate
        self.report[name] = changed
        self.refused.pop(name, None)
        return True

    @property
    def precision(self) -> Precision:
        """Of the convolutions."""
        return "bfloat16" if self.report.get(HALVED) else "float32"

    def left(self) -> Left:
        """How many operations and steps stayed out, by reason."""
        half = HALVED in self.report
        operations = left(self.graph, half=half, largest_depth=None if half else FEW_CHANNELS)
        return {**operations, **{name: {OTHER_IMAGES: count} for name, count in self.refused.items()}}

    def summary(self) -> dict[str, Any]:
        """What was done and what was not, for the model card."""
        return {"precision": self.precision, "rewritten": self.report, "left": self.left()}

    def function(self) -> Any:
        """The graph as a concrete function, of which a SavedModel keeps one copy for all its signatures.

        It takes at least one row: oneDNN's fused convolutions give no rows a wrong number of channels.
        """
        definition, output = self.graph.graph_def(), f"{self.graph.output}:0"

        def draw(*given: tf.Tensor) -> tf.Tensor:
            feeds = {f"{spec.name}:0": values for spec, values in zip(self._specs, given, strict=True)}
            (images,) = tf.graph_util.import_graph_def(definition, feeds, [output], name="")
            return images

        return tf.function(draw, jit_compile=False, autograph=False).get_concrete_function(*self._specs)

    def _draws_the_same(self, graph: Graph, bound: Bound) -> bool:
        try:
            return self._proof.holds(graph, bound)
        except BROKEN as error:
            _warn(error)
            return False


def _warn(error: Exception) -> None:
    # A pattern that no step foresaw stays as it is; it is no reason not to export.
    log.warning("a graph cannot be rewritten: %s", (str(error).splitlines() or [repr(error)])[0])


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
    half = precision == "bfloat16"
    rewriting = _rewritten(function, rows, half)
    if half and not _halve(rewriting):
        message = "expected images within two grey levels in bfloat16, received others"
        if strict:
            raise ModelError(f"{message}; nothing was published, export in float32")
        log.warning("%s; the export stays in float32", message)
        refused = rewriting.refused[HALVED]
        rewriting = _rewritten(function, rows, half=False)
        rewriting.refused[HALVED] = refused
    _tell(rewriting)
    return rewriting


def _rewritten(function: Any, rows: Mapping[str, np.ndarray], half: bool) -> Rewriting:
    rewriting = Rewriting(function, rows)
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
            log.warning("left out of the export: %s; %s", name, OTHER_IMAGES)
    return rewriting


def _halve(rewriting: Rewriting) -> bool:
    """Let the convolutions, or all but the last, compute in bfloat16; tell whether that could be."""
    if rewriting.try_step(HALVED, convolutions_to_bfloat16, BFLOAT16):
        if not rewriting.report[HALVED]:
            log.warning("there is no convolution to compute in bfloat16; the export stays in float32")
        return True
    step = partial(convolutions_to_bfloat16, keep_last=True)
    if step(rewriting.graph.copy()) and rewriting.try_step(HALVED, step, BFLOAT16):
        log.warning("the last convolution stays in float32: bfloat16 would draw other images")
        return True
    return False


def _tell(rewriting: Rewriting) -> None:
    done = [f"{count} {name}" for name, count in rewriting.report.items() if count]
    log.info("rewritten: %s", ", ".join(done) or "nothing")
    stayed: dict[str, list[str]] = {}
    for kind, reasons in rewriting.left().items():
        for reason, count in reasons.items():
            stayed.setdefault(reason, []).append(f"{count} {kind}")
    for reason, kinds in stayed.items():
        log.info("left as they are, %s: %s", reason, ", ".join(kinds))
