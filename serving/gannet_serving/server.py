"""The server: every service on one gRPC port, and REST on another where that is asked for."""

from typing import TYPE_CHECKING

import grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from gannet_client.contract import MODEL_SERVICE, PREDICTION_SERVICE
from gannet_serving.access_log import log_access
from gannet_serving.address import cannot_listen, joined
from gannet_serving.admission import Admission
from gannet_serving.call_pool import CallPool
from gannet_serving.calls import Recorders
from gannet_serving.health import Health
from gannet_serving.manager import ModelManager
from gannet_serving.model_service import ModelService
from gannet_serving.options import ServerOptions
from gannet_serving.prediction_service import PredictionService
from gannet_serving.reflection import reflection_handlers
from gannet_serving.rpc import Method, Methods
from gannet_serving.tls import server_credentials

if TYPE_CHECKING:
    from gannet_serving.rest.server import RestServer

_MAX_REQUEST_BYTES = 256 << 20
"""TensorFlow Serving takes requests of 2 GiB; a few such would take all memory of a laptop."""
_OPTIONS: dict[str, int | str] = {
    "grpc.keepalive_time_ms": 60_000,  # by this a connection ends whose client has vanished
    "grpc.max_receive_message_length": _MAX_REQUEST_BYTES,
    "grpc.so_reuseport": 0,  # otherwise a second server on the same port would take half of the calls
}


class ModelServer:
    """Answers calls about the models of a manager.

    Attributes:
        address: What it listens on for gRPC: `HOST:PORT`, or `unix:PATH` without a port; set by `start`.
        rest_address: `HOST:PORT` for REST, set by `start`; empty without REST.
    """

    def __init__(self, manager: ModelManager, options: ServerOptions | None = None) -> None:
        """Prepares; `start` opens the ports.

        Args:
            manager: Finds the models.
            options: Where to listen and what to offer; by default gRPC on any port that is free.

        Raises:
            UsageError: The arguments for gRPC are malformed, or the files for TLS cannot be used.
        """
        self._options = options = options or ServerOptions(port=0)
        self._credentials = server_credentials(options.ssl_config_file) if options.ssl_config_file else None
        self._health = Health(manager) if options.enable_grpc_healthcheck_service else None
        recorders, slots = _recorders(manager, options), Admission(options.grpc_max_threads)
        if manager.metrics:
            manager.metrics.in_flight("GRPC", lambda: slots.in_use)
        self._rest = _rest_server(manager, options, recorders) if options.rest_api_port is not None else None
        self._pool = CallPool(options.grpc_max_threads)
        methods = Methods(
            _methods(manager, options, slots), received=self._pool.received, recorders=recorders
        )
        # The first that knows a method answers it; the last answers whatever is left.
        beside = [self._health.handler] if self._health else []
        reflection = reflection_handlers([self._health.name] if self._health else [])
        self._server = grpc.server(
            self._pool,  # type: ignore[arg-type]  # asked for nothing but to submit
            handlers=[*beside, *reflection, methods],
            options=list({**_OPTIONS, **dict(options.channel_arguments)}.items()),
        )
        self.address, self.rest_address = f"unix:{options.grpc_socket_path}", ""

    def start(self) -> None:
        """Opens the ports and begins to answer.

        Raises:
            UsageError: A port cannot be opened; then none is.
        """
        if self._options.grpc_socket_path:
            self._open(self.address)
        if self._options.port is not None:
            port = self._open(joined(self._options.host, self._options.port))
            self.address = joined(self._options.host, port)
        if self._rest:
            self._rest.start()
            self.rest_address = self._rest.address
        self._server.start()

    def stop(self, grace: float | None) -> None:
        """Takes no more calls, and returns when those that run have ended or `grace` seconds have passed."""
        if self._health:
            self._health.end()
        ended = self._server.stop(grace)
        if self._rest:
            self._rest.stop(grace or 0.0)
        ended.wait()
        self._pool.shutdown()

    def _open(self, address: str) -> int:
        try:
            if self._credentials:
                return self._server.add_secure_port(address, self._credentials)
            return self._server.add_insecure_port(address)
        except RuntimeError:
            raise cannot_listen(address, "the port cannot be bound") from None


def _recorders(manager: ModelManager, options: ServerOptions) -> Recorders:
    access = [log_access] if options.access_log else []
    return [*access, *(manager.metrics.recorders if manager.metrics else ())]


def _rest_server(manager: ModelManager, options: ServerOptions, recorders: Recorders) -> "RestServer":
    # A server without REST need not wait for its libraries.
    from gannet_serving.rest.api import RestApi
    from gannet_serving.rest.app import RestApp
    from gannet_serving.rest.server import RestServer

    metrics = manager.metrics
    pages = {metrics.path: metrics.page} if metrics else {}
    app = RestApp(RestApi(manager, options), options, recorders, pages)
    if metrics:
        metrics.in_flight("REST", lambda: app.slots.in_use)
    return RestServer(app, options.host, options.rest_api_port or 0)


def _methods(manager: ModelManager, options: ServerOptions, slots: Admission) -> dict[str, Method]:
    prediction, model = PredictionService(manager, options), ModelService(manager)
    of_prediction = {
        "Predict": Method(PredictRequest, prediction.predict, slots),
        "Classify": Method(ClassificationRequest, prediction.classify, slots),
        "Regress": Method(RegressionRequest, prediction.regress, slots),
        "MultiInference": Method(MultiInferenceRequest, prediction.multi_inference, slots),
        "GetModelMetadata": Method(GetModelMetadataRequest, prediction.get_model_metadata),
    }
    of_model = {
        "GetModelStatus": Method(GetModelStatusRequest, model.get_model_status),
        "HandleReloadConfigRequest": Method(ReloadConfigRequest, model.handle_reload_config),
    }
    return {
        **{f"/{PREDICTION_SERVICE}/{name}": method for name, method in of_prediction.items()},
        **{f"/{MODEL_SERVICE}/{name}": method for name, method in of_model.items()},
    }
