"""`tensorflow.serving.PredictionService`: what a model computes, and what it could be asked."""

import grpc
from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

from gannet_client.codec import encode_values
from gannet_client.contract import SERVING_DEFAULT, SIGNATURE_DEF
from gannet_serving.manager import ModelManager
from gannet_serving.model_spec import lease, require_model_spec
from gannet_serving.rpc import require_time_left
from gannet_serving.signatures import input_tensors, output_tensors
from gannet_serving.status import StatusError, invalid


class PredictionService:
    """The methods that compute or describe; each raises StatusError where the caller gets one."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        """Runs one signature of one version on the request's tensors."""
        spec = require_model_spec(request)
        with lease(self._manager, spec) as (version, session):
            key = spec.signature_name or SERVING_DEFAULT
            if key not in session.signatures:
                raise StatusError(
                    grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.'
                )
            signature = session.signatures[key]
            feeds = input_tensors(signature, request.inputs)
            fetches = output_tensors(signature, request.output_filter)
            require_time_left(context)
            arrays = session.run(feeds, list(fetches.values()))
        response = PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        response.model_spec.signature_name = key
        for alias, array in zip(fetches, arrays, strict=True):
            encode_values(array, response.outputs[alias])
        return response

    def get_model_metadata(
        self, request: GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> GetModelMetadataResponse:
        """Tells the signatures of one version."""
        spec = require_model_spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_DEF:
                raise invalid(f"Metadata field {field} is not supported")
        with lease(self._manager, spec) as (version, session):
            signatures = SignatureDefMap(signature_def=session.signatures)
        response = GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response
