"""A frozen graph that can be edited."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, graph_pb2, node_def_pb2, tensor_pb2

Node: TypeAlias = node_def_pb2.NodeDef
Shapes: TypeAlias = dict[str, tf.TensorShape]
"""The static shape of every node's first output."""

PASSES_ON = {"Identity", "Snapshot"}
"""Operations whose output is their input."""


class Graph:
    """Nodes by name, of which one is the output; every node is known by its first output.

    An Identity that takes a later output of a node stands for that output.

    Args:
        graph_def: without variables, functions and control flow.
        output: name of the node that gives the images.
    """

    def __init__(self, graph_def: graph_pb2.GraphDef, output: str) -> None:
        self.nodes: dict[str, Node] = {node.name: node for node in graph_def.node}
        self.output = output
        self._versions = graph_def.versions

    def copy(self) -> "Graph":
        """An independent graph of the same nodes."""
        return Graph(self.graph_def(), self.output)

    def graph_def(self) -> graph_pb2.GraphDef:
        """What can be imported, with the nodes that the output needs and no others."""
        definition = graph_pb2.GraphDef(versions=self._versions)
        definition.node.extend(self.in_order())
        return definition

    def prune(self) -> None:
        """Drop the nodes that the output does not need."""
        self.nodes = {node.name: node for node in self.in_order()}

    def in_order(self) -> list[Node]:
        """The inputs and what the output needs, every node after those that it needs itself."""
        ordered: dict[str, Node] = {}
        waiting = [self.output, *(node.name for node in self.of_kind("Placeholder"))]
        while waiting:
            node = self.nodes[waiting[-1]]
            missing = [_name(given) for given in node.input if _name(given) not in ordered]
            waiting += missing
            if not missing:
                ordered[waiting.pop()] = node
        return list(ordered.values())

    def of_kind(self, *operations: str) -> list[Node]:
        """All nodes of these operations."""
        return [node for node in self.nodes.values() if node.op in operations]

    def given(self, node: Node, place: int) -> Node:
        """The node behind an input, past those that only pass it on."""
        found = self.nodes[_name(node.input[place])]
        return self.given(found, 0) if _passes_on(found) else found

    def users(self, node: Node) -> Iterator[Node]:
        """The nodes that take a node's output, also past those that only pass it on."""
        for user in list(self.nodes.values()):
            if any(_name(given) == node.name and not given.startswith("^") for given in user.input):
                if _passes_on(user) and user.name != self.output:
                    yield from self.users(user)
                else:
                    yield user

    def only_user(self, node: Node) -> Node | None:
        """The one node that takes a node's values; those that ask for its shape do not count."""
        users = [user for user in self.users(node) if user.op != "Shape"]
        return users[0] if len(users) == 1 else None

    def value(self, node: Node) -> np.ndarray | None:
        """The value of a constant; None of any other node."""
        return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def constant_at(self, node: Node, place: int) -> np.ndarray:
        """The value of an input that is known to be a constant.

        Raises:
            ValueError: it is none.
        """
        value = self.value(self.given(node, place))
        if value is None:
            raise ValueError(f"input {place} of {node.name} is no constant")
        return value

    def constant(self, name: str, value: np.ndarray) -> Node:
        """Add a constant under a new name that begins with the given one."""
        node = Node(name=self._free(name), op="Const")
        kind = tf.as_dtype(value.dtype).as_datatype_enum
        # As bytes: the lists that `make_tensor_proto` writes take half as much again in bfloat16.
        shape = tf.TensorShape(value.shape).as_proto()
        content = tensor_pb2.TensorProto(dtype=kind, tensor_shape=shape, tensor_content=value.tobytes())
        node.attr["value"].tensor.CopyFrom(content)
        node.attr["dtype"].type = kind
        self.nodes[node.name] = node
        return node

    def add(self, op: str, name: str, inputs: list[Node], **attributes: Any) -> Node:
        """Add an operation under a new name that begins with the given one."""
        node = Node(name=self._free(name), op=op, input=[given.name for given in inputs])
        for key, value in attributes.items():
            _set(node, key, value)
        self.nodes[node.name] = node
        return node

    def redirect(self, old: Node, new: Node) -> None:
        """Let every node that takes the old one's output take the new one's; drop what is not needed then."""
        for user in self.nodes.values():
            for place, given in enumerate(user.input):
                if given in (old.name, f"{old.name}:0") and user.name != new.name:
                    user.input[place] = new.name
        if self.output == old.name:
            self.output = new.name
        self.prune()

    def shapes(self) -> Shapes:
        """The static shape of every node's first output."""
        with tf.Graph().as_default() as graph:
            tf.graph_util.import_graph_def(self.graph_def(), name="")
        return {
            operation.name: operation.outputs[0].shape
            for operation in graph.get_operations()
            if operation.outputs
        }

    def _free(self, name: str) -> str:
        candidate, number = name, 0
        while candidate in self.nodes:
            number += 1
            candidate = f"{name}_{number}"
        return candidate


def attribute(node: Node, key: str) -> attr_value_pb2.AttrValue:
    """An attribute of a node, empty if it has none of that name: asking the node itself would add it."""
    return node.attr[key] if key in node.attr else attr_value_pb2.AttrValue()


def is_channels_last(node: Node) -> bool:
    """Whether a node has its channels on the last axis, or does not ask where they are."""
    return attribute(node, "data_format").s in (b"", b"NHWC")


def is_later(given: str) -> bool:
    """Whether an input is not the first output of its node."""
    return not given.startswith("^") and given.partition(":")[2] not in ("", "0")


def _passes_on(node: Node) -> bool:
    """Whether the output of a node is that of the node before it."""
    return node.op in PASSES_ON and not is_later(node.input[0])


def _name(given: str) -> str:
    return given.removeprefix("^").split(":")[0]


def _set(node: Node, key: str, value: Any) -> None:
    attribute = node.attr[key]
    if isinstance(value, tf.DType):
        attribute.type = value.as_datatype_enum
    elif isinstance(value, str):
        attribute.s = value.encode()
    elif isinstance(value, int):
        attribute.i = value
    else:
        attribute.list.i.extend(value)
