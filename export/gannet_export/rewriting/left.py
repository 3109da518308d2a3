"""What a rewriting leaves as it is, and why."""

from collections import Counter

import tensorflow as tf

from gannet_export.rewriting.graph import Graph, Node, Shapes
from gannet_export.rewriting.normalization import changes_for, scale_of
from gannet_export.rewriting.subpixel import obstacle

Left = dict[str, dict[str, int]]
"""How many of what stayed, by reason."""

UNKNOWN = "no rewriting is known"
OTHER_IMAGES = "the images would not be the same"
NOTHING_TO_DO = frozenset(
    [
        *("Const", "Placeholder", "Identity", "Snapshot", "StopGradient"),
        *("Shape", "StridedSlice", "Pack", "Reshape", "Squeeze", "ExpandDims", "Cast", "ConcatV2", "Split"),
        *("MatMul", "Conv2D", "DepthwiseConv2dNative", "BiasAdd", "AddV2", "Add", "Sub", "DepthToSpace"),
        *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Sigmoid", "Tanh"),
    ]
)
"""Operations that give, move or activate values, or are as fast as they get."""


def left(graph: Graph, *, half: bool, largest_depth: int | None) -> Left:
    """Count the operations that no step has rewritten, by their kind and the reason.

    Args:
        graph: as it is after all steps.
        half: whether convolutions are to compute in bfloat16.
        largest_depth: see :func:`~gannet_export.rewriting.subpixel.to_subpixels`.
    """
    shapes, found = graph.shapes(), Counter[tuple[str, str]]()
    for node in graph.nodes.values():
        if node.op in ("Mul", "FusedBatchNormV3"):
            reason = _why_no_fold(graph, node, shapes)
        elif node.op == "Conv2DBackpropInput":
            reason = obstacle(graph, node, shapes, largest_depth)
        elif half and node.op == "Conv2D":
            reason = _why_not_halved(graph, node)
        else:
            reason = None if node.op in NOTHING_TO_DO else UNKNOWN
        if reason:
            found[node.op, reason] += 1
    counts: Left = {}
    for (kind, reason), count in sorted(found.items()):
        counts.setdefault(kind, {})[reason] = count
    return counts


def _why_no_fold(graph: Graph, node: Node, shapes: Shapes) -> str | None:
    scale = scale_of(graph, node, shapes)
    changes = changes_for(graph, scale, shapes) if scale else UNKNOWN
    return changes if isinstance(changes, str) else None


def _why_not_halved(graph: Graph, node: Node) -> str | None:
    if node.attr["T"].type != tf.float32.as_datatype_enum:
        return None
    return "its kernel is computed" if graph.value(graph.given(node, 1)) is None else OTHER_IMAGES
