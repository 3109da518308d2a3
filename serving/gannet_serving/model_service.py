"""`tensorflow.serving.ModelService`: where the versions of a model stand."""

from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, GetModelStatusResponse
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest, ReloadConfigResponse
from tensorflow_serving.apis.status_pb2 import StatusProto

from gannet_serving.calls import Call
from gannet_serving.config_proto import read_config
from gannet_serving.manager import ModelManager
from gannet_serving.model_spec import require_model_spec
from gannet_serving.status import invalid, not_found


class ModelService:
    """The methods that observe and configure; each raises StatusError where the caller gets one."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def get_model_status(self, request: GetModelStatusRequest, call: Call) -> GetModelStatusResponse:
        """Tells the state of one version, or of all that were ever wanted; a label is ignored."""
        spec = require_model_spec(request)
        if self._manager.knows(spec.name):
            call.model = spec.name
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

    def handle_reload_config(self, request: ReloadConfigRequest, call: Call) -> ReloadConfigResponse:
        """Replaces the configuration; answers once the models that are new in it can be asked."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        self._manager.reload(read_config(request.config), is_wanted=call.is_active)
        return ReloadConfigResponse(status=StatusProto())
