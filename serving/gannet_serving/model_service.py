"""`tensorflow.serving.ModelService`: where the versions of a model stand."""

import grpc
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, GetModelStatusResponse

from gannet_serving.manager import ModelManager
from gannet_serving.model_spec import require_model_spec
from gannet_serving.status import not_found


class ModelService:
    """The methods that observe; each raises StatusError where the caller gets one."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def get_model_status(
        self, request: GetModelStatusRequest, context: grpc.ServicerContext
    ) -> GetModelStatusResponse:
        """Tells the state of one version, or of all that were ever wanted; a label is ignored."""
        spec = require_model_spec(request)
        statuses = self._manager.statuses(spec.name)
        if spec.HasField("version"):
            number = spec.version.value
            statuses = [status for status in statuses if status[0] == number]
            if not statuses:
                raise not_found(f"Could not find version {number} of model {spec.name}")
        elif not statuses:
            raise not_found(f"Could not find any versions of model {spec.name}")
        response = GetModelStatusResponse()
        for number, state, failure in statuses:
            entry = response.model_version_status.add(version=number, state=state.value)
            entry.status.error_code = failure.number if failure else 0
            entry.status.error_message = failure.message if failure else ""
        return response
