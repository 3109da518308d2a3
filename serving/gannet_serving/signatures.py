"""Between the aliases of a request and the tensors of a graph: TensorFlow Serving's checks, in its order."""

from collections.abc import Iterable, Mapping
from typing import Any

from gannet_client.codec import Array
from gannet_serving.status import invalid
from gannet_serving.tensors import to_array

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


class Signature:
    """A SignatureDef, taken apart once instead of at each request.

    Attributes:
        definition: The message.
        method_name: What it is for.
        inputs: A TensorInfo for each alias, sorted.
        outputs: Likewise.
        defaults: TensorProtos by alias.
        feeds: The tensor to feed for each input.
        fetches: The tensor to fetch for each output.
    """

    def __init__(self, definition: Any) -> None:
        self.definition = definition
        self.method_name: str = definition.method_name
        self.inputs: dict[str, Any] = dict(sorted(definition.inputs.items()))
        self.outputs: dict[str, Any] = dict(sorted(definition.outputs.items()))
        self.defaults: dict[str, Any] = dict(definition.defaults)
        self.feeds: dict[str, str] = {alias: info.name for alias, info in self.inputs.items()}
        self.fetches: dict[str, str] = {alias: info.name for alias, info in self.outputs.items()}


def input_tensors(signature: Signature, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """The values to feed, by tensor name.

    Args:
        signature: Tells which there must be.
        inputs: The request's TensorProto messages by alias; the signature's defaults fill in for absent ones.

    Raises:
        StatusError: An input is missing, surplus or malformed.
    """
    if len(inputs) > len(signature.inputs) or (
        len(inputs) < len(signature.inputs) and not signature.defaults
    ):
        raise invalid(_size_mismatch(set(inputs), set(signature.inputs)))
    feeds = {}
    for alias, name in signature.feeds.items():
        proto = inputs[alias] if alias in inputs else _default(signature, alias, inputs)
        try:
            feeds[name] = to_array(proto)
        except ValueError:
            raise invalid(f"tensor parsing error: {alias}") from None
    if signature.defaults and not all(alias in signature.inputs for alias in inputs):
        used = inputs.keys() & signature.inputs.keys()
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {_joined(used)}, "
            f"request input: {_joined(inputs)}"
        )
    return feeds


def output_tensors(signature: Signature, output_filter: Iterable[str]) -> dict[str, str]:
    """The tensor names to fetch, by alias: those in `output_filter`, or all if it is empty.

    Raises:
        StatusError: The filter names an output that is not there, or one twice.
    """
    names: dict[str, str] = {}
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{_joined(signature.outputs)}}}."
            )
        if alias in names:
            raise invalid(f"duplicate output tensor alias: {alias}")
        names[alias] = signature.fetches[alias]
    return names or signature.fetches


def dump(signature: Signature) -> str:
    """The SignatureDef in a message, in the form in which TensorFlow Serving's protobuf prints it."""
    return f"goo.gle/debugonly   \n{signature.definition}"


def _default(signature: Signature, alias: str, inputs: Mapping[str, Any]) -> Any:
    if alias in signature.defaults:
        return signature.defaults[alias]
    raise invalid(
        f"Signature input alias: {alias}(feed name: {signature.feeds[alias]}) not found in request "
        f"and no default value provided. Inputs expected to be in the request {{{_joined(inputs)}}}, "
        f"or default input alias set: {_joined(signature.defaults)}"
    )


def _size_mismatch(sent: set[str], wanted: set[str]) -> str:
    return (
        f"input size does not match signature: {len(sent)}!={len(wanted)} "
        f"len({{{_joined(sent)}}}) != len({{{_joined(wanted)}}}). "
        f"Sent extra: {{{_joined(sent - wanted)}}}. Missing but required: {{{_joined(wanted - sent)}}}."
    )


def _joined(aliases: Iterable[str]) -> str:
    return ",".join(sorted(aliases))
