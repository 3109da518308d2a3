"""What a REST request is answered, apart from HTTP."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow.core.example.example_pb2 import Example
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from gannet_client.codec import Array
from gannet_client.contract import SERVING_DEFAULT, SIGNATURE_DEF
from gannet_serving.callers import require_time_left
from gannet_serving.calls import Call
from gannet_serving.manager import ModelManager
from gannet_serving.model_service import ModelService
from gannet_serving.model_spec import lease
from gannet_serving.options import ServerOptions
from gannet_serving.predict import check_method
from gannet_serving.prediction_service import PredictionService
from gannet_serving.rest.paths import Target, parse_path
from gannet_serving.rest.requests import Feature, read_examples, read_predict
from gannet_serving.rest.responses import write_class, write_floats, write_results, write_tensors
from gannet_serving.status import invalid

_APIS = {
    "classify": "Classify",
    "metadata": "GetModelMetadata",
    "predict": "Predict",
    "regress": "Regress",
    "status": "GetModelStatus",
}


class RestApi:
    """Answers requests by the models of a manager, in the thread that asks."""

    def __init__(self, manager: ModelManager, options: ServerOptions) -> None:
        self._manager = manager
        self._options = options
        self._prediction = PredictionService(manager, options)
        self._model = ModelService(manager)

    def answer(self, method: str, path: str, body: bytes, call: Call) -> str:
        """The body of the response.

        Args:
            method: That of HTTP.
            path: Still percent-encoded, without a query.
            body: That of the request.
            call: Tells how much time is left.

        Raises:
            StatusError: The request is refused or fails.
        """
        target = parse_path(method, path)
        call.api = _APIS[target.verb]
        if target.verb == "predict":
            return self._predict(target, body, call)
        if target.verb == "classify":
            return self._classify(target, body, call)
        if target.verb == "regress":
            return self._regress(target, body, call)
        if target.verb == "metadata":
            return self._metadata(target, call)
        return self._status(target, call)

    def _predict(self, target: Target, body: bytes, call: Call) -> str:
        request = read_predict(body)
        with lease(self._manager, _spec(target), call) as (call.version, session):
            call.signature = _existing(session.signatures, request.signature_name)
            signature = session.signatures[call.signature]
            form, arrays = request.tensors({alias: info.dtype for alias, info in signature.inputs.items()})
            check_method(signature, self._options)
            require_time_left(call)
            call.count_rows = partial(_rows, arrays)
            feeds = {signature.inputs[alias].name: array for alias, array in arrays.items()}
            begin = time.perf_counter()
            outputs = session.run(feeds, [info.name for info in signature.outputs.values()], call)
            call.runtime = time.perf_counter() - begin
        return write_tensors(dict(zip(signature.outputs, outputs, strict=True)), form)

    def _classify(self, target: Target, body: bytes, call: Call) -> str:
        request = _examples_request(ClassificationRequest, target, body)
        result = self._prediction.classify(request, call).result
        return write_results(
            f"[{', '.join(write_class(entry.label, entry.score) for entry in row.classes)}]"
            for row in result.classifications
        )

    def _regress(self, target: Target, body: bytes, call: Call) -> str:
        request = _examples_request(RegressionRequest, target, body)
        result = self._prediction.regress(request, call).result
        return write_results(write_floats([entry.value for entry in result.regressions]))

    def _status(self, target: Target, call: Any) -> str:
        request = GetModelStatusRequest(model_spec=_spec(target))
        return _as_json(self._model.get_model_status(request, call))

    def _metadata(self, target: Target, call: Call) -> str:
        request = GetModelMetadataRequest(model_spec=_spec(target), metadata_field=[SIGNATURE_DEF])
        response = self._prediction.get_model_metadata(request, call)
        signatures = SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(signatures)
        return (
            f'{{\n"model_spec":{_as_json(response.model_spec)}\n,\n'
            f'"metadata": {{"{SIGNATURE_DEF}": {_as_json(signatures)}\n}}\n}}\n'
        )


def _rows(arrays: Mapping[str, Array]) -> int:
    """The size of the first input's first dimension."""
    shape = next(iter(arrays.values())).shape
    return shape[0] if shape else 1


def _spec(target: Target) -> ModelSpec:
    spec = ModelSpec(name=target.name)
    if target.version is not None:
        spec.version.value = target.version
    if target.label is not None:
        spec.version_label = target.label
    return spec


def _existing(signatures: Mapping[str, Any], key: str) -> str:
    name = key or SERVING_DEFAULT
    if name not in signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    return name


def _examples_request(request_class: Any, target: Target, body: bytes) -> Any:
    parsed = read_examples(body)
    request = request_class(model_spec=_spec(target), input=Input())
    request.model_spec.signature_name = parsed.signature_name
    examples = [_example(features) for features in parsed.examples]
    if parsed.context is None:
        request.input.example_list.examples.extend(examples)
    else:
        request.input.example_list_with_context.context.CopyFrom(_example(parsed.context))
        request.input.example_list_with_context.examples.extend(examples)
    return request


def _example(features: dict[str, Feature]) -> Example:
    example = Example()
    for name, (kind, values) in features.items():
        feature = example.features.feature[name]
        if kind:
            getattr(feature, kind).value.extend(values)
    return example


def _as_json(message: Message) -> str:
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1
    )
