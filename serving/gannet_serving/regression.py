"""Regress: one number for each tf.Example."""

from collections.abc import Mapping

from tensorflow.core.framework.types_pb2 import DT_FLOAT
from tensorflow_serving.apis.regression_pb2 import RegressionResult

from gannet_client.codec import Array
from gannet_serving.examples import INPUTS, require_dtype, shape_text
from gannet_serving.options import ServerOptions
from gannet_serving.signatures import REGRESS_METHOD, Signature, dump
from gannet_serving.status import invalid

OUTPUTS = "outputs"


def regression_tensors(signature: Signature, options: ServerOptions) -> tuple[str, list[str]]:
    """The tensor to feed, and the one to fetch.

    Raises:
        StatusError: The signature is not one that regresses.
    """
    if options.enable_signature_method_name_check and signature.method_name != REGRESS_METHOD:
        raise invalid(
            f"Expected regression signature method_name to be {REGRESS_METHOD}. Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {dump(signature)}")
    if OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {dump(signature)}")
    return signature.inputs[INPUTS].name, [signature.outputs[OUTPUTS].name]


def regression(signature: Signature, arrays: Mapping[str, Array], count: int) -> RegressionResult:
    """The output of a run as a message.

    Args:
        signature: One that regresses.
        arrays: The output by tensor name: float [B] or [B, 1].
        count: The number of examples, B.

    Raises:
        StatusError: The output is of another dtype or shape.
    """
    array = arrays[signature.outputs[OUTPUTS].name]
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {shape_text(array)}"
        )
    if len(array) != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {len(array)}")
    require_dtype(array, DT_FLOAT, "Expected output Tensor of DT_FLOAT.  Got: ")
    result = RegressionResult()
    for value in array.ravel().tolist():
        result.regressions.add(value=value)
    return result
