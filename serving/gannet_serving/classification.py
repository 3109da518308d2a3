"""Classify: labels and scores of tf.Examples."""

from collections.abc import Mapping

from tensorflow.core.framework.types_pb2 import DT_FLOAT, DT_STRING
from tensorflow_serving.apis.classification_pb2 import ClassificationResult

from gannet_client.codec import Array
from gannet_serving.examples import INPUTS, require_dtype, shape_text
from gannet_serving.options import ServerOptions
from gannet_serving.signatures import CLASSIFY_METHOD, Signature, dump
from gannet_serving.status import invalid

CLASSES = "classes"
SCORES = "scores"


def classification_tensors(signature: Signature, options: ServerOptions) -> tuple[str, list[str]]:
    """The tensor to feed, and those to fetch: classes, scores or both.

    Raises:
        StatusError: The signature is not one that classifies.
    """
    if options.enable_signature_method_name_check and signature.method_name != CLASSIFY_METHOD:
        raise invalid(
            f"Expected classification signature method_name to be {CLASSIFY_METHOD}. "
            f"Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {dump(signature)}")
    fetches = [signature.outputs[alias].name for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not fetches:
        raise invalid(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {dump(signature)}'
        )
    return signature.inputs[INPUTS].name, fetches


def classification(signature: Signature, arrays: Mapping[str, Array], count: int) -> ClassificationResult:
    """The outputs of a run as a message.

    Args:
        signature: One that classifies.
        arrays: The outputs by tensor name: classes string [B, N], scores float [B, N], or one of them.
        count: The number of examples, B.

    Raises:
        StatusError: An output is of another dtype or shape.
    """
    classes = _output(signature, arrays, CLASSES, DT_STRING, count)
    scores = _output(signature, arrays, SCORES, DT_FLOAT, count)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(
            "Tensors class and score should match in dim_size(1). "
            f"Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = ClassificationResult()
    for row in range(count):
        labelled = result.classifications.add()
        width = (scores if classes is None else classes).shape[1]  # type: ignore[union-attr]
        for column in range(width):
            entry = labelled.classes.add()
            if classes is not None:
                entry.label = classes[row, column]
            if scores is not None:
                entry.score = scores[row, column]
    return result


def _output(
    signature: Signature, arrays: Mapping[str, Array], alias: str, dtype: int, count: int
) -> Array | None:
    if alias not in signature.outputs:
        return None
    array = arrays[signature.outputs[alias].name]
    if array.ndim != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(array)}")
    require_dtype(array, dtype, f"Expected {alias} Tensor of {_NAMES[dtype]}. Got: ")
    if len(array) != count:
        raise invalid(f"Expected {alias} output batch size of {count}. Got: {len(array)}")
    return array


_NAMES = {DT_STRING: "DT_STRING", DT_FLOAT: "DT_FLOAT"}
