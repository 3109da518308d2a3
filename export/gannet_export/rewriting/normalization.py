"""Folds what follows a linear operation into it: y = (xW + b)s + t is y = x(Ws) + (bs + t).

In a trained network that is BatchNormalization (Ioffe and Szegedy, 2015, arXiv:1502.03167) with its moving
statistics.
"""

import math

import numpy as np
import tensorflow as tf

from gannet_export.rewriting.graph import Graph, Node, attribute

KERNEL = 1
"""Which input of a linear operation is its kernel."""
CHANNEL_AXIS = {"MatMul": 1, "Conv2D": 3, "Conv2DBackpropInput": 2}
"""The axis of a kernel that becomes the last one of the output, by operation."""
ADDITIONS = ("AddV2", "Add", "BiasAdd")


def fold_scales(graph: Graph) -> int:
    """Multiply kernels by the constants that their outputs are multiplied by; returns how many."""
    shapes = graph.shapes()
    return sum(_fold(graph, node, shapes) for node in graph.of_kind("Mul"))


def merge_shifts(graph: Graph) -> int:
    """Make biases of the constants that are added per channel, one of several in a row; returns how many."""
    shapes, count = graph.shapes(), 0
    for node in graph.of_kind("AddV2", "Add"):
        parts = constant_and_other(graph, node)
        shift = _per_channel(parts[0], shapes[node.name]) if parts else None
        if parts is None or shift is None:
            continue
        other = parts[1]
        if other.op == "BiasAdd" and graph.only_user(other) is node:
            shift, other = shift + graph.value(graph.given(other, 1)), graph.given(other, 0)
        bias = graph.constant(f"{node.name}/bias", shift)
        kind = tf.as_dtype(shift.dtype)
        added = graph.add("BiasAdd", f"{node.name}/biased", [other, bias], T=kind, data_format="NHWC")
        graph.redirect(node, added)
        shapes[added.name] = shapes[node.name]
        count += 1
    return count


def constant_and_other(graph: Graph, node: Node) -> tuple[np.ndarray, Node] | None:
    """Part the two inputs of a node into the value of a constant and the other node, if they are that."""
    first, second = graph.given(node, 0), graph.given(node, 1)
    for constant, other in ((first, second), (second, first)):
        value = graph.value(constant)
        if value is not None and other.op != "Const":
            return value, other
    return None


def _fold(graph: Graph, product: Node, shapes: dict[str, tf.TensorShape]) -> bool:
    """Fold one multiplication, if a linear operation stands before it with nothing but shifts between."""
    parts = constant_and_other(graph, product)
    scale = _per_channel(parts[0], shapes[parts[1].name]) if parts else None
    if parts is None or scale is None:
        return False
    node, after = parts[1], product
    scaled: list[tuple[Node, int, np.ndarray]] = []
    while graph.only_user(node) is after:
        if node.op in CHANNEL_AXIS:
            kernel = graph.value(graph.given(node, KERNEL))
            if kernel is None or not _is_plain(node) or kernel.shape[CHANNEL_AXIS[node.op]] != scale.size:
                return False
            shape = [1] * kernel.ndim
            shape[CHANNEL_AXIS[node.op]] = scale.size
            for changed, place, value in [*scaled, (node, KERNEL, kernel * scale.reshape(shape))]:
                changed.input[place] = graph.constant(f"{changed.name}/scaled", value).name
            graph.redirect(product, parts[1])
            return True
        before = _step_back(graph, node, scale, shapes, scaled)
        if before is None:
            return False
        (node, scale), after = before, node
    return False


def _step_back(
    graph: Graph,
    node: Node,
    scale: np.ndarray,
    shapes: dict[str, tf.TensorShape],
    scaled: list[tuple[Node, int, np.ndarray]],
) -> tuple[Node, np.ndarray] | None:
    """From after a shift or a reshape to before it; a shift is noted to be scaled as well."""
    if node.op in ADDITIONS:
        parts = constant_and_other(graph, node)
        shift = _per_channel(parts[0], shapes[node.name]) if parts else None
        if parts is None or shift is None:
            return None
        place = 1 if graph.value(graph.given(node, 1)) is not None else 0
        scaled.append((node, place, shift * scale))
        return parts[1], scale
    if node.op == "Reshape":
        given, inner = shapes[graph.given(node, 0).name], shapes[node.name][1:]
        if given.rank == 2 and inner.is_fully_defined() and given[1] == math.prod(inner):
            return graph.given(node, 0), np.broadcast_to(scale, inner.as_list()).reshape(-1)
    return None


def _per_channel(value: np.ndarray, shape: tf.TensorShape) -> np.ndarray | None:
    """A constant as one number per channel of a tensor of this shape, if it is that."""
    if shape.rank is None or shape.rank < 2 or shape[-1] is None:
        return None
    alike = value.ndim <= shape.rank and all(size == 1 for size in value.shape[:-1])
    if alike and value.shape[-1:] in ((shape[-1],), (1,), ()):
        return np.broadcast_to(value.reshape(-1), [shape[-1]]).copy()
    return None


def _is_plain(node: Node) -> bool:
    transposed = attribute(node, "transpose_a").b or attribute(node, "transpose_b").b
    return not transposed and attribute(node, "data_format").s in (b"", b"NHWC")
