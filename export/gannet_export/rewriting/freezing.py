"""From a function with variables to a graph of constants."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from gannet_export.processor import cpu_session
from gannet_export.rewriting.graph import PASSES_ON, Graph, Node, is_later

LARGEST_GRAPH = 5 * 2**28
"""Bytes of weights: a protocol buffer ends at 2 GiB, and sub-pixel kernels take up to half as much again."""
CONDITIONAL = ("Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond")
"""Branches and loops of TensorFlow 1, which hold together by control inputs."""
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
        (output,) = frozen.outputs
        ends = [tensor.name for tensor in (*frozen.inputs, output)]
        definition = _inlined(frozen.graph.as_graph_def(), ends)
    except (ValueError, tf.errors.OpError) as error:
        raise NotFreezable((str(error).splitlines() or [repr(error)])[0]) from error
    graph = Graph(definition, output.op.name)
    if graph.of_kind(*CONDITIONAL):
        raise NotFreezable("it has loops or branches")
    for node in graph.nodes.values():
        # What the removed reads of variables have to wait for is gone with them.
        data = [given for given in node.input if not given.startswith("^")]
        del node.input[:]
        node.input.extend(data)
        node.attr.pop("_class", None)
        # A server has other devices than the one that trained.
        node.device = ""
    graph.prune()
    _require_one_graph(graph, {tensor.op.name for tensor in frozen.inputs})
    _name_later_outputs(graph)
    return graph


def _inlined(definition: graph_pb2.GraphDef, kept: list[str]) -> graph_pb2.GraphDef:
    """Put the bodies of functions compiled by XLA where they are called.

    Keras compiles convolutions of several groups; TensorFlow Serving has no XLA, and no need of it.
    """
    for function in definition.library.function:
        function.attr.pop("_XlaMustCompile", None)
        function.attr.pop("_noinline", None)
    for node in definition.node:
        node.attr.pop("_XlaMustCompile", None)
    graph = meta_graph_pb2.MetaGraphDef(graph_def=definition)
    graph.collection_def["train_op"].node_list.value.extend(kept)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.append("function")
    return tf_optimizer.OptimizeGraph(config, graph)


def _require_one_graph(graph: Graph, arguments: set[str]) -> None:
    for node in graph.nodes.values():
        if any(value.HasField("func") or value.list.func for value in node.attr.values()):
            raise NotFreezable("it has loops or branches")
        if node.op == "Placeholder" and node.name not in arguments:
            raise NotFreezable("it reads what is no variable, such as a table")


def _name_later_outputs(graph: Graph) -> None:
    """Let an Identity stand for every output that is not the first of its node."""
    with tf.Graph().as_default() as whole:
        tf.graph_util.import_graph_def(graph.graph_def(), name="")
    for node in list(graph.nodes.values()):
        for place, given in enumerate(node.input):
            if is_later(given) and node.op not in PASSES_ON:
                kind = whole.get_tensor_by_name(given).dtype
                named = graph.add("Identity", given.replace(":", "/output_"), [], T=kind)
                named.input.append(given)
                node.input[place] = named.name


def fold_constants(graph: Graph) -> int:
    """Compute what depends on constants alone; returns how many nodes that saved."""
    fixed = _fixed(graph)
    needed = {name for node in graph.nodes.values() if node.name not in fixed for name in _inputs(node)}
    edge = [
        graph.nodes[name]
        for name in fixed
        if (name in needed or name == graph.output) and graph.nodes[name].op != "Const"
    ]
    before = len(graph.nodes)
    for node, value in _computed(graph, edge):
        # What is no larger than what it is made of replaces that, unless others need it too.
        if value.nbytes <= max(LARGEST_FOLDED, fixed[node.name]):
            graph.redirect(node, graph.constant(node.name, value))
    return before - len(graph.nodes)


def _fixed(graph: Graph) -> dict[str, int]:
    """The nodes that depend on constants alone, and the bytes of the largest of these."""
    fixed: dict[str, int] = {}
    for node in graph.in_order():
        value = graph.value(node)
        if value is not None:
            fixed[node.name] = value.nbytes
        elif node.input and not _draws(node) and _inputs(node) <= fixed.keys():
            fixed[node.name] = max(fixed[name] for name in _inputs(node))
    return fixed


def _draws(node: Node) -> bool:
    """Whether an operation may answer differently the next time."""
    return bool(op_def_registry.get(node.op).is_stateful)


def _inputs(node: Node) -> set[str]:
    return {given.split(":")[0] for given in node.input}


def _computed(graph: Graph, nodes: list[Node]) -> list[tuple[Node, np.ndarray]]:
    """The values of those nodes that have numbers for values."""
    with tf.Graph().as_default() as whole, cpu_session(whole) as session:
        tf.graph_util.import_graph_def(graph.graph_def(), name="")
        tensors = [whole.get_tensor_by_name(f"{node.name}:0") for node in nodes]
        known = [place for place, tensor in enumerate(tensors) if tensor.dtype.is_numpy_compatible]
        numbers = [place for place in known if tensors[place].dtype not in (tf.string, tf.resource)]
        values = session.run([tensors[place] for place in numbers])
    return [(nodes[place], np.asarray(value)) for place, value in zip(numbers, values, strict=True)]
