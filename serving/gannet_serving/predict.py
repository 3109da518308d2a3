"""Predict: one signature of a model, run on a request's tensors."""

from typing import Any

import grpc
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

from gannet_client.contract import SERVING_DEFAULT
from gannet_serving.callers import UNHURRIED, Caller
from gannet_serving.loaded import LoadedModel
from gannet_serving.options import ServerOptions
from gannet_serving.signatures import (
    CLASSIFY_METHOD,
    PREDICT_METHOD,
    REGRESS_METHOD,
    Signature,
    input_tensors,
    output_tensors,
)
from gannet_serving.status import StatusError
from gannet_serving.tensors import to_proto

_METHODS = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)
_DEFAULTS = ServerOptions()


def run_predict(
    session: LoadedModel,
    request: PredictRequest,
    options: ServerOptions = _DEFAULTS,
    call: Caller = UNHURRIED,
) -> PredictResponse:
    """Answers a request on one version; the caller fills in which version that was.

    Args:
        session: The version.
        request: Its ModelSpec counts as far as the signature goes.
        options: Tell how signatures are checked and tensors are written.
        call: On whose behalf.

    Raises:
        StatusError: Request and signature do not fit, or an op failed.
    """
    spec = request.model_spec
    key = spec.signature_name or SERVING_DEFAULT
    if key not in session.signatures:
        raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
    signature = session.signatures[key]
    check_method(signature, options)
    feeds = input_tensors(signature, request.inputs)
    fetches = output_tensors(signature, request.output_filter)
    arrays = session.run(feeds, list(fetches.values()), call)
    response = PredictResponse()
    response.model_spec.name = spec.name
    response.model_spec.signature_name = key
    for alias, array in zip(fetches, arrays, strict=True):
        _write(array, response.outputs[alias], alias, options.enable_serialization_as_tensor_content)
    return response


def check_method(signature: Signature, options: ServerOptions) -> None:
    """Refuses, where that is asked for, a signature whose method Predict does not know.

    Raises:
        StatusError: It is another one.
    """
    if options.enable_signature_method_name_check and signature.method_name not in _METHODS:
        raise StatusError(
            grpc.StatusCode.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. "
            f"Was: {signature.method_name}",
        )


def _write(array: Any, proto: Any, alias: str, as_content: bool) -> None:
    try:
        to_proto(array, proto, as_content=as_content)
    except ValueError:
        raise StatusError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"Output {alias} is of dtype {array.dtype}, which this server cannot send.",
        ) from None
