"""Folds what follows a linear operation into it: y = (xW + b)s + t is y = x(Ws) + (bs + t).

In a trained network that is BatchNormalization (Ioffe and Szegedy, 2015, arXiv:1502.03167) with its moving
statistics.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gannet_export.rewriting.graph import Graph, Node, Shapes, attribute, is_channels_last

KERNEL = 1
"""Which input of a linear operation is its kernel."""
CHANNEL_AXES = {
    "MatMul": (1,),
    "Conv2D": (3,),
    "Conv2DBackpropInput": (2,),
    "DepthwiseConv2dNative": (2, 3),
}
"""The axes of a kernel that together become the last one of the output, by operation."""
ADDITIONS = ("AddV2", "Add", "BiasAdd")


class Scale(NamedTuple):
    """What multiplies each channel of a node by a constant, and adds one.

    Attributes:
        node: the multiplication.
        given: what it multiplies.
        factors: one for each channel.
        shift: one for each channel, or none.
    """

    node: Node
    given: Node
    factors: np.ndarray
    shift: np.ndarray | None = None


class Change(NamedTuple):
    """An input of a node that becomes another constant."""

    node: Node
    place: int
    value: np.ndarray


def fold_scales(graph: Graph) -> int:
    """Multiply kernels by the constants that their outputs are multiplied by; returns how many."""
    shapes, count = graph.shapes(), 0
    for node in graph.of_kind("Mul", "FusedBatchNormV3"):
        scale = scale_of(graph, node, shapes)
        changes = changes_for(graph, scale, shapes) if scale else "no scale"
        if scale is None or isinstance(changes, str):
            continue
        for changed, place, value in changes:
            changed.input[place] = graph.constant(f"{changed.name}/scaled", value).name
        end = _shifted(graph, scale)
        shapes[end.name] = shapes[node.name]
        graph.redirect(node, end)
        count += 1
    return count


def merge_shifts(graph: Graph) -> int:
    """Make biases of the constants that are added per channel, one of several in a row; returns how many."""
    shapes, count = graph.shapes(), 0
    for node in graph.of_kind("AddV2", "Add"):
        parts = _per_channel_and_other(graph, node, shapes)
        if parts is None:
            continue
        shift, other = parts
        if other.op == "BiasAdd" and is_channels_last(other) and graph.only_user(other) is node:
            before = graph.value(graph.given(other, 1))
            if before is not None:
                shift, other = shift + before, graph.given(other, 0)
        bias = graph.constant(f"{node.name}/bias", shift)
        kind = tf.as_dtype(shift.dtype)
        added = graph.add("BiasAdd", f"{node.name}/biased", [other, bias], T=kind, data_format="NHWC")
        graph.redirect(node, added)
        shapes[added.name] = shapes[node.name]
        count += 1
    return count


def scale_of(graph: Graph, node: Node, shapes: Shapes) -> Scale | None:
    """What a Mul or a FusedBatchNormV3 multiplies by, if that is one constant per channel."""
    if node.op == "FusedBatchNormV3":
        return _normalization(graph, node)
    parts = _per_channel_and_other(graph, node, shapes)
    return Scale(node, parts[1], parts[0]) if parts else None


def changes_for(graph: Graph, scale: Scale, shapes: Shapes) -> list[Change] | str:
    """What folds a scale: the constants to change, or what stands in the way.

    With nothing but shifts and reshapes between, a linear operation has to stand before it.
    """
    node, after, factors = scale.given, scale.node, scale.factors
    changes: list[Change] = []
    while graph.only_user(node) is after:
        if node.op in CHANNEL_AXES:
            kernel = _scaled_kernel(graph, node, factors)
            return kernel if isinstance(kernel, str) else [*changes, Change(node, KERNEL, kernel)]
        before = _before_shift(graph, node, factors, shapes) or _before_reshape(graph, node, factors, shapes)
        if before is None:
            return "no kernel before it"
        after = node
        node, factors, change = before
        changes += [change] if change else []
    return "another operation takes what it multiplies"


def _normalization(graph: Graph, node: Node) -> Scale | None:
    parts = [graph.value(graph.given(node, place)) for place in range(1, 5)]
    one_kind = attribute(node, "T").type == attribute(node, "U").type
    plain = one_kind and is_channels_last(node) and not attribute(node, "is_training").b
    if not plain or any(part is None for part in parts):
        return None
    gamma, beta, mean, variance = (np.asarray(part) for part in parts)
    factors = gamma / np.sqrt(variance + np.float32(attribute(node, "epsilon").f))
    return Scale(node, graph.given(node, 0), factors, beta - mean * factors)


def _shifted(graph: Graph, scale: Scale) -> Node:
    """The node that stands for the scale once its factors are in a kernel."""
    if scale.shift is None:
        return scale.given
    name = scale.node.name
    shift, kind = graph.constant(f"{name}/shift", scale.shift), tf.as_dtype(scale.shift.dtype)
    return graph.add("AddV2", f"{name}/shifted", [scale.given, shift], T=kind)


def _scaled_kernel(graph: Graph, node: Node, factors: np.ndarray) -> np.ndarray | str:
    kernel, axes = graph.value(graph.given(node, KERNEL)), CHANNEL_AXES[node.op]
    if kernel is None:
        return "the kernel before it is computed"
    shape = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
    transposed = attribute(node, "transpose_a").b or attribute(node, "transpose_b").b
    if transposed or not is_channels_last(node) or math.prod(shape) != factors.size:
        return "the kernel before it has another layout"
    return kernel * factors.reshape(shape)


Before = tuple[Node, np.ndarray, Change | None]


def _before_shift(graph: Graph, node: Node, factors: np.ndarray, shapes: Shapes) -> Before | None:
    """From after a shift to before it; the shift is to be scaled as well."""
    if node.op not in ADDITIONS or not is_channels_last(node):
        return None
    parts = _per_channel_and_other(graph, node, shapes)
    if parts is None:
        return None
    place = 1 if graph.value(graph.given(node, 1)) is not None else 0
    return parts[1], factors, Change(node, place, parts[0] * factors)


def _before_reshape(graph: Graph, node: Node, factors: np.ndarray, shapes: Shapes) -> Before | None:
    """From an image to the row that it was made of."""
    if node.op != "Reshape":
        return None
    given, inner = shapes[graph.given(node, 0).name], shapes[node.name][1:]
    if given.rank != 2 or not inner.is_fully_defined() or given[1] != math.prod(inner):
        return None
    return graph.given(node, 0), np.broadcast_to(factors, inner.as_list()).reshape(-1), None


def _per_channel_and_other(graph: Graph, node: Node, shapes: Shapes) -> tuple[np.ndarray, Node] | None:
    """Part the two inputs of a node into one constant per channel and the other node, if they are that."""
    first, second = graph.given(node, 0), graph.given(node, 1)
    for constant, other in ((first, second), (second, first)):
        value = graph.value(constant)
        if value is not None and other.op != "Const":
            found = _per_channel(value, shapes[other.name])
            return None if found is None else (found, other)
    return None


def _per_channel(value: np.ndarray, shape: tf.TensorShape) -> np.ndarray | None:
    """A constant as one number per channel of a tensor of this shape, if it is that."""
    if shape.rank is None or shape.rank < 2 or shape[-1] is None:
        return None
    alike = value.ndim <= shape.rank and all(size == 1 for size in value.shape[:-1])
    if alike and value.shape[-1:] in ((shape[-1],), (1,), ()):
        return np.broadcast_to(value.reshape(-1), [shape[-1]]).copy()
    return None
