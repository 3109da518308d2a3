"""`tensorflow.serving.PredictionService`: what a model computes, and what it could be asked."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tensorflow_serving.apis.classification_pb2 import ClassificationRequest, ClassificationResponse
from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest, MultiInferenceResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.regression_pb2 import RegressionRequest, RegressionResponse

from gannet_client.contract import SERVING_DEFAULT, SIGNATURE_DEF
from gannet_serving.callers import Caller, require_time_left
from gannet_serving.calls import Call
from gannet_serving.example_kinds import run_classify, run_regress
from gannet_serving.examples import count_examples
from gannet_serving.loaded import LoadedModel
from gannet_serving.manager import ModelManager
from gannet_serving.model_spec import lease, require_model_spec
from gannet_serving.multi_inference import run_multi_inference
from gannet_serving.options import ServerOptions
from gannet_serving.predict import run_predict
from gannet_serving.status import invalid

_DEFAULTS = ServerOptions()
_Run = Callable[[LoadedModel, Any, ServerOptions, Caller], Any]


class PredictionService:
    """The methods that compute or describe; each raises StatusError where the caller gets one."""

    def __init__(self, manager: ModelManager, options: ServerOptions = _DEFAULTS) -> None:
        self._manager = manager
        self._options = options

    def predict(self, request: PredictRequest, call: Call) -> PredictResponse:
        """Runs one signature of one version on the request's tensors."""
        call.count_rows = partial(_rows, request)
        return self._run(run_predict, request, call)

    def classify(self, request: ClassificationRequest, call: Call) -> ClassificationResponse:
        """Runs a signature that gives labels and scores on tf.Examples."""
        call.count_rows = partial(count_examples, request.input)
        return self._run(run_classify, request, call)

    def regress(self, request: RegressionRequest, call: Call) -> RegressionResponse:
        """Runs a signature that gives a number on tf.Examples."""
        call.count_rows = partial(count_examples, request.input)
        return self._run(run_regress, request, call)

    def multi_inference(self, request: MultiInferenceRequest, call: Call) -> MultiInferenceResponse:
        """Runs several signatures of the two kinds above on the same tf.Examples."""
        spec = request.tasks[0].model_spec if request.tasks else ModelSpec()
        call.count_rows = partial(count_examples, request.input)
        with lease(self._manager, spec, call) as (call.version, session):
            require_time_left(call)
            begin = time.perf_counter()
            response = run_multi_inference(session, request, self._options, call)
            call.runtime = time.perf_counter() - begin
        for result in response.results:
            result.model_spec.version.value = call.version
        return response

    def get_model_metadata(self, request: GetModelMetadataRequest, call: Call) -> GetModelMetadataResponse:
        """Tells the signatures of one version."""
        spec = require_model_spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_DEF:
                raise invalid(f"Metadata field {field} is not supported")
        with lease(self._manager, spec, call) as (call.version, session):
            definitions = {key: signature.definition for key, signature in session.signatures.items()}
            signatures = SignatureDefMap(signature_def=definitions)
        response = GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = call.version
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response

    def _run(self, run: _Run, request: Any, call: Call) -> Any:
        spec = require_model_spec(request)
        with lease(self._manager, spec, call) as (call.version, session):
            key = spec.signature_name or SERVING_DEFAULT
            call.signature = key if key in session.signatures else ""
            require_time_left(call)
            begin = time.perf_counter()
            response = run(session, request, self._options, call)
            call.runtime = time.perf_counter() - begin
        response.model_spec.version.value = call.version
        return response


def _rows(request: PredictRequest) -> int:
    """The size of the first input's first dimension."""
    for tensor in request.inputs.values():
        return tensor.tensor_shape.dim[0].size if tensor.tensor_shape.dim else 1
    return 0
