"""What Classify, Regress and MultiInference share: tf.Examples in, one run, float or string tensors out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis.input_pb2 import Input

from gannet_client.codec import Array
from gannet_client.contract import SERVING_DEFAULT
from gannet_serving.callers import UNHURRIED, Caller
from gannet_serving.loaded import LoadedModel
from gannet_serving.signatures import Signature
from gannet_serving.status import invalid

INPUTS = "inputs"


def run_examples(
    session: LoadedModel, examples: Input, feed: str, fetches: Sequence[str], call: Caller = UNHURRIED
) -> dict[str, Array]:
    """Computes tensors from the examples of a request.

    Args:
        session: The version to run.
        examples: tf.Examples; a context goes before each of them.
        feed: Name of the tensor that takes them, serialized: string [B].
        fetches: Names of the tensors to compute.
        call: On whose behalf.

    Returns:
        An array for each name in `fetches`.

    Raises:
        StatusError: There are no examples, or an op failed.
    """
    serialized = _serialized(examples)
    if not serialized:
        raise invalid("Input is empty.")
    batch = np.empty(len(serialized), object)
    batch[:] = serialized
    return dict(zip(fetches, session.run({feed: batch}, fetches, call), strict=True))


def count_examples(examples: Input) -> int:
    """How many rows a request asks for."""
    kind = examples.WhichOneof("kind")
    return len(getattr(examples, kind).examples) if kind else 0


def named_signature(session: LoadedModel, spec: Any) -> Signature:
    """The signature that a ModelSpec names, for Classify and Regress.

    Raises:
        StatusError: There is none; the text differs from that of Predict.
    """
    key = spec.signature_name or SERVING_DEFAULT
    if key not in session.signatures:
        raise invalid(f"No signature was found with the name: {key}")
    return session.signatures[key]


def require_dtype(array: Array, expected: int, text: str) -> None:
    """Refuses an output of another dtype.

    Raises:
        StatusError: It is of another dtype, which is put behind `text`.
    """
    received = tf.as_dtype(array.dtype).as_datatype_enum
    if received != expected:
        raise invalid(f"{text}{types_pb2.DataType.Name(received)}")


def shape_text(array: Array) -> str:
    """The shape as TensorFlow prints it.

    >>> shape_text(np.zeros((2, 3)))
    '[2,3]'
    """
    return f"[{','.join(map(str, array.shape))}]"


def _serialized(examples: Input) -> list[bytes]:
    if examples.WhichOneof("kind") == "example_list_with_context":
        listed = examples.example_list_with_context
        context = listed.context.SerializeToString()
        return [context + example.SerializeToString() for example in listed.examples]
    return [example.SerializeToString() for example in examples.example_list.examples]
