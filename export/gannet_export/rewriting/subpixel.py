"""Stride-2 transposed convolutions as ordinary ones on the small image, followed by `depth_to_space`.

Shi et al., 2016, arXiv:1609.05158. Each of the four phases of the output sees only every second tap of the
kernel; an ordinary convolution with four times the channels computes all phases at once, and exactly so.
"""

import numpy as np
import tensorflow as tf

from gannet_export.rewriting.graph import Graph, Node, Shapes, attribute, is_channels_last

BLOCK = 2
ACTIVATIONS = ("Relu", "LeakyRelu", "Elu", "Relu6")


def to_subpixels(graph: Graph, largest_depth: int | None = None) -> int:
    """Rewrite the transposed convolutions that double height and width; returns how many.

    Args:
        graph: whose kernels are constants.
        largest_depth: leave alone those of more output channels than this.
    """
    shapes, transposed = graph.shapes(), graph.of_kind("Conv2DBackpropInput")
    chosen = [node for node in transposed if obstacle(graph, node, shapes, largest_depth) is None]
    for node in chosen:
        _rewrite(graph, node, graph.constant_at(node, 1))
    return len(chosen)


def obstacle(graph: Graph, node: Node, shapes: Shapes, largest_depth: int | None = None) -> str | None:
    """Why a transposed convolution is not rewritten; None if it is.

    Args:
        graph: that the node is of.
        node: a Conv2DBackpropInput.
        shapes: of the graph.
        largest_depth: see :func:`to_subpixels`.
    """
    kernel = graph.value(graph.given(node, 1))
    if kernel is None:
        return "its kernel is computed"
    if not _doubles(node, shapes[graph.given(node, 2).name], shapes[node.name]):
        return "not of stride 2 to twice the size, channels last"
    if largest_depth is not None and kernel.shape[2] > largest_depth:
        return "faster as it is"
    return None


def phases(kernel: np.ndarray) -> np.ndarray:
    """Rearrange the kernel of a transposed convolution of stride 2 and SAME padding.

    Args:
        kernel: [h, w, O, I], as `tf.nn.conv2d_transpose` takes it.

    Returns:
        [m, n, I, 4 O], m and n odd: the kernel of an ordinary SAME convolution whose output `depth_to_space`
        turns into that of the transposed one.

    Example:
        >>> phases(np.ones([5, 4, 3, 8])).shape
        (3, 3, 8, 12)
    """
    height, width, depth, given = kernel.shape
    rows, columns = _taps(height), _taps(width)
    found = np.zeros([len(rows), len(columns), given, BLOCK, BLOCK, depth], kernel.dtype)
    for row, vertical in enumerate(rows):
        for column, horizontal in enumerate(columns):
            for a, y in enumerate(vertical):
                for b, x in enumerate(horizontal):
                    if 0 <= y < height and 0 <= x < width:
                        found[row, column, :, a, b] = kernel[y, x].T
    return found.reshape(len(rows), len(columns), given, BLOCK**2 * depth)


def _taps(size: int) -> list[list[int]]:
    """Along one side, for each neighbour from the first to the last: the tap that each phase takes it by."""
    padding = max(size - BLOCK, 0) // 2
    # Output 2q + a takes input q + d by tap a + padding - 2d.
    reach = max((BLOCK - 1 + padding) // BLOCK, (size - 1 - padding) // BLOCK)
    return [[phase + padding - BLOCK * d for phase in range(BLOCK)] for d in range(-reach, reach + 1)]


def _doubles(node: Node, given: tf.TensorShape, drawn: tf.TensorShape) -> bool:
    # Without padding that is a kernel of one or two taps, which needs none.
    plain = is_channels_last(node) and attribute(node, "padding").s in (b"SAME", b"VALID")
    strides, dilations = list(attribute(node, "strides").list.i), set(attribute(node, "dilations").list.i)
    known = given[1:].is_fully_defined() and drawn[1:].is_fully_defined()
    return (
        plain
        and known
        and strides == [1, BLOCK, BLOCK, 1]
        and dilations <= {1}
        and (drawn[1], drawn[2]) == (BLOCK * given[1], BLOCK * given[2])
    )


def _rewrite(graph: Graph, node: Node, kernel: np.ndarray) -> None:
    kind = tf.as_dtype(kernel.dtype)
    taps = graph.constant(f"{node.name}/phases", phases(kernel))
    last = graph.add(
        "Conv2D",
        f"{node.name}/convolution",
        [graph.given(node, 2), taps],
        T=kind,
        strides=[1, 1, 1, 1],
        padding="SAME",
        data_format="NHWC",
    )
    # They act on every value alone, and right after the convolution they cost nothing.
    end = node
    while (user := graph.only_user(end)) is not None and (user.op == "BiasAdd" or user.op in ACTIVATIONS):
        inputs = [last]
        if user.op == "BiasAdd":
            bias = graph.value(graph.given(user, 1))
            if bias is None:
                break
            inputs.append(graph.constant(f"{user.name}/phases", np.tile(bias, BLOCK**2)))
        moved = graph.add(user.op, f"{user.name}/phases", inputs)
        for key, value in user.attr.items():
            moved.attr[key].CopyFrom(value)
        last, end = moved, user
    drawn = graph.add(
        "DepthToSpace", f"{node.name}/pixels", [last], T=kind, block_size=BLOCK, data_format="NHWC"
    )
    graph.redirect(end, drawn)
