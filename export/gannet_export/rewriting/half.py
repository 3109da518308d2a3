"""Convolutions in bfloat16: half the bytes; with AVX512-BF16 or AMX also a multiple of the speed."""

import tensorflow as tf

from gannet_export.rewriting.graph import Graph, Node

FOLLOWS = ("BiasAdd", "Relu", "Relu6", "LeakyRelu", "Elu", "DepthToSpace")
"""What computes in bfloat16 as well between two convolutions."""
HALF = tf.bfloat16


def convolutions_to_bfloat16(graph: Graph, *, keep_last: bool = False) -> int:
    """Let convolutions of constant kernels compute in bfloat16; returns how many.

    Dense layers, and whatever else is no convolution, stay float32; so do images, since the output of the
    last convolution turns back before its bias and its activation.

    Args:
        graph: of float32.
        keep_last: leave the last convolution in float32.
    """
    convolutions = [node for node in graph.of_kind("Conv2D") if _is_constant(graph, node)]
    last = [node for node in convolutions if not _leads_to(graph, node, convolutions)]
    chosen = [node for node in convolutions if not (keep_last and node in last)]
    for node in chosen:
        _convert(graph, node, alone=node in last)
    _join(graph)
    return len(chosen)


def _is_constant(graph: Graph, node: Node) -> bool:
    kernel = graph.value(graph.given(node, 1))
    return kernel is not None and kernel.dtype == "float32"


def _leads_to(graph: Graph, node: Node, targets: list[Node]) -> bool:
    waiting, seen = list(graph.users(node)), set()
    while waiting:
        user = waiting.pop()
        if user in targets:
            return True
        if user.name not in seen and user.op != "Shape":
            seen.add(user.name)
            waiting += graph.users(user)
    return False


def _convert(graph: Graph, node: Node, *, alone: bool) -> None:
    kernel = graph.constant_at(node, 1)
    node.input[0] = _cast(graph, graph.given(node, 0), HALF).name
    node.input[1] = graph.constant(f"{node.name}/half", kernel.astype(HALF.as_numpy_dtype)).name
    node.attr["T"].type = HALF.as_datatype_enum
    end = node
    while not alone and (user := graph.only_user(end)) is not None and user.op in FOLLOWS:
        if user.op == "BiasAdd":
            bias = graph.value(graph.given(user, 1))
            if bias is None:
                break
            user.input[1] = graph.constant(f"{user.name}/half", bias.astype(HALF.as_numpy_dtype)).name
        user.attr["T"].type = HALF.as_datatype_enum
        end = user
    back = _cast(graph, end, tf.float32)
    graph.redirect(end, back)


def _cast(graph: Graph, node: Node, kind: tf.DType) -> Node:
    given = tf.float32 if kind == HALF else HALF
    return graph.add("Cast", f"{node.name}/{kind.name}", [node], SrcT=given, DstT=kind)


def _join(graph: Graph) -> None:
    """Drop the casts to float32 and back between two convolutions."""
    for node in graph.of_kind("Cast"):
        before = graph.given(node, 0)
        half = HALF.as_datatype_enum
        if before.op == "Cast" and before.attr["SrcT"].type == node.attr["DstT"].type == half:
            graph.redirect(node, graph.given(before, 0))
