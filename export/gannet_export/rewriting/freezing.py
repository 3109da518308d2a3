"""From a function with variables to a graph of constants."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from gannet_export.rewriting.graph import Graph, Node

LARGEST_GRAPH = 3 * 2**29
"""Bytes of weights: a protocol buffer ends at 2 GiB."""
LARGEST_FOLDED = 2**20
"""Bytes of a value that is computed ahead of time: a graph must not grow by what it can compute."""


class NotFreezable(Exception):
    """A function cannot be written as one graph of constants."""


def freeze(function: Any) -> Graph:
    """Turn the variables of a concrete function of one output into constants.

    Args:
        function: a `tf.types.experimental.ConcreteFunction`.

    Returns:
        A graph whose placeholders are named after the function's arguments.

    Raises:
        NotFreezable: it has control flow or a state, or too many weights for one graph.
    """
    if sum(variable.numpy().nbytes for variable in function.variables) > LARGEST_GRAPH:
        raise NotFreezable("its weights do not fit into one graph of at most 2 GB")
    try:
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    except (ValueError, tf.errors.OpError) as error:
        raise NotFreezable((str(error).splitlines() or [repr(error)])[0]) from error
    (output,) = frozen.outputs
    definition = frozen.graph.as_graph_def()
    if definition.library.function:
        raise NotFreezable("it has loops or branches")
    graph = Graph(definition, output.op.name)
    for node in graph.nodes.values():
        # What the removed reads of variables have to wait for is gone with them.
        data = [given for given in node.input if not given.startswith("^")]
        del node.input[:]
        node.input.extend(data)
        node.attr.pop("_class", None)
    graph.prune()
    return graph


def fold_constants(graph: Graph) -> int:
    """Compute what depends on constants alone; returns how many nodes that saved."""
    fixed = _fixed(graph)
    edge = [
        node
        for name, node in graph.nodes.items()
        if name in fixed and node.op != "Const" and _leaves(graph, node, fixed)
    ]
    before = len(graph.nodes)
    for node, value in zip(edge, _computed(graph, edge), strict=True):
        if value.nbytes <= LARGEST_FOLDED:
            graph.redirect(node, graph.constant(node.name, value))
    return before - len(graph.nodes)


def _fixed(graph: Graph) -> set[str]:
    """Names of the nodes that depend on constants alone."""
    fixed: set[str] = set()
    for node in graph.in_order():
        if node.op == "Const" or (node.input and not _draws(node) and _inputs(node) <= fixed):
            fixed.add(node.name)
    return fixed


def _draws(node: Node) -> bool:
    """Whether an operation may answer differently the next time."""
    return bool(op_def_registry.get(node.op).is_stateful)


def _inputs(node: Node) -> set[str]:
    return {given.split(":")[0] for given in node.input}


def _leaves(graph: Graph, node: Node, fixed: set[str]) -> bool:
    others = (user for user in graph.nodes.values() if user.name not in fixed)
    return node.name == graph.output or any(node.name in _inputs(user) for user in others)


def _computed(graph: Graph, nodes: list[Node]) -> list[np.ndarray]:
    if not nodes:
        return []
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph.graph_def(), name="")
        return list(session.run([f"{node.name}:0" for node in nodes]))
