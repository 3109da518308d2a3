"""Classify and Regress: a signature that takes tf.Examples, and what is made of its outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tensorflow_serving.apis.classification_pb2 import ClassificationRequest, ClassificationResponse
from tensorflow_serving.apis.regression_pb2 import RegressionRequest, RegressionResponse

from gannet_client.codec import Array
from gannet_client.contract import SERVING_DEFAULT
from gannet_serving.callers import UNHURRIED, Caller
from gannet_serving.classification import classification, classification_tensors
from gannet_serving.examples import count_examples, named_signature, run_examples
from gannet_serving.loaded import LoadedModel
from gannet_serving.options import ServerOptions
from gannet_serving.regression import regression, regression_tensors
from gannet_serving.signatures import CLASSIFY_METHOD, REGRESS_METHOD, Signature

_DEFAULTS = ServerOptions()


@dataclass(frozen=True)
class Kind:
    """What tells the two apart.

    Attributes:
        tensors: The tensor of a signature to feed, and those to fetch.
        result: The message for the outputs of a run, by tensor name, and the number of examples.
        result_field: Where MultiInference puts it.
        response_class: What it goes into otherwise.
    """

    tensors: Callable[[Signature, ServerOptions], tuple[str, list[str]]]
    result: Callable[[Signature, Mapping[str, Array], int], Any]
    result_field: str
    response_class: Any


_CLASSIFY = Kind(classification_tensors, classification, "classification_result", ClassificationResponse)
_REGRESS = Kind(regression_tensors, regression, "regression_result", RegressionResponse)
KINDS = {CLASSIFY_METHOD: _CLASSIFY, REGRESS_METHOD: _REGRESS}
"""By the name of the method."""


def run_classify(
    session: LoadedModel,
    request: ClassificationRequest,
    options: ServerOptions = _DEFAULTS,
    call: Caller = UNHURRIED,
) -> ClassificationResponse:
    """Labels and scores; see `_run`."""
    return _run(_CLASSIFY, session, request, options, call)


def run_regress(
    session: LoadedModel,
    request: RegressionRequest,
    options: ServerOptions = _DEFAULTS,
    call: Caller = UNHURRIED,
) -> RegressionResponse:
    """One number for each example; see `_run`."""
    return _run(_REGRESS, session, request, options, call)


def _run(kind: Kind, session: LoadedModel, request: Any, options: ServerOptions, call: Caller) -> Any:
    """Answers a request on one version; the caller fills in which version that was.

    Args:
        kind: What is asked for.
        session: The version.
        request: Its ModelSpec counts as far as the signature goes.
        options: Tell how signatures are checked.
        call: On whose behalf.

    Raises:
        StatusError: The signature is of another kind, the examples or its outputs are wrong, or an op failed.
    """
    spec = request.model_spec
    signature = named_signature(session, spec)
    feed, fetches = kind.tensors(signature, options)
    arrays = run_examples(session, request.input, feed, fetches, call)
    response = kind.response_class()
    response.model_spec.name = spec.name
    response.model_spec.signature_name = spec.signature_name or SERVING_DEFAULT
    response.result.CopyFrom(kind.result(signature, arrays, count_examples(request.input)))
    return response
