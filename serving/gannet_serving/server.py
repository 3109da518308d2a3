"""The server: every service on one gRPC port, and REST on another where that is asked for."""

from concurrent.futures import ThreadPoolExecutor
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
from gannet_serving.address import cannot_listen, joined
from gannet_serving.health import Health
from gannet_serving.manager import ModelManager
from gannet_serving.model_service import ModelService
from gannet_serving.options import ServerOptions
from gannet_serving.prediction_service import PredictionService
from gannet_serving.reflection import reflection_handlers
from gannet_serving.rpc import Method, Methods

if TYPE_CHECKING:
    from gannet_serving.rest.server import RestServer

_MAX_REQUEST_BYTES = 256 << 20
"""TensorFlow Serving takes requests of 2 GiB; a few such would take all memory of a laptop."""
_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
    ("grpc.so_reuseport", 0),  # otherwise a second server on the same port would take half of the calls
]


class ModelServer:
    """Answers calls about the models of a manager.

    Attributes:
        address: What it listens on for gRPC: `HOST:PORT`, or `unix:PATH` without a port; set by `start`.
    """

    def __init__(self, manager: ModelManager, options: ServerOptions | None = None) -> None:
        """Prepares; `start` opens the ports.

        Args:
            manager: Finds the models.
            options: Where to listen and what to offer; by default gRPC on any port that is free.

        Raises:
            UsageError: The arguments for gRPC are malformed.
        """
        self._options = options = options or ServerOptions(port=0)
        self._health = Health() if options.enable_grpc_healthcheck_service else None
        self._rest = _rest_server(manager, options) if options.rest_api_port else None
        self._server = grpc.server(
            ThreadPoolExecutor(options.grpc_max_threads, thread_name_prefix="rpc"),
            handlers=_handlers(manager, options, self._health),
            options=[*_OPTIONS, *options.channel_arguments],
        )
        self.address = f"unix:{options.grpc_socket_path}"

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
        self._server.start()

    def stop(self, grace: float | None) -> None:
        """Takes no more calls, and returns when those that run have ended or `grace` seconds have passed."""
        if self._health:
            self._health.end()
        ended = self._server.stop(grace)
        if self._rest:
            self._rest.stop(grace or 0.0)
        ended.wait()

    def _open(self, address: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError:
            raise cannot_listen(address, "the port cannot be bound") from None


def _rest_server(manager: ModelManager, options: ServerOptions) -> "RestServer":
    from gannet_serving.rest.server import RestServer  # a server without REST need not wait for its libraries

    return RestServer(manager, options)


def _handlers(
    manager: ModelManager, options: ServerOptions, health: Health | None
) -> list[grpc.GenericRpcHandler]:
    """The first that knows a method answers it; the last answers whatever is left."""
    return [
        *([health.handler] if health else []),
        *reflection_handlers([health.name] if health else []),
        Methods(_methods(manager, options)),
    ]


def _methods(manager: ModelManager, options: ServerOptions) -> dict[str, Method]:
    prediction, model = PredictionService(manager, options), ModelService(manager)
    of_prediction = {
        "Predict": Method(PredictRequest, prediction.predict),
        "Classify": Method(ClassificationRequest, prediction.classify),
        "Regress": Method(RegressionRequest, prediction.regress),
        "MultiInference": Method(MultiInferenceRequest, prediction.multi_inference),
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
