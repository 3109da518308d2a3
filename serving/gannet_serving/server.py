"""The gRPC server: the two services on one port."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from gannet_client.contract import MODEL_SERVICE, PREDICTION_SERVICE
from gannet_serving.address import cannot_listen, joined
from gannet_serving.manager import ModelManager
from gannet_serving.model_service import ModelService
from gannet_serving.options import ServerOptions
from gannet_serving.prediction_service import PredictionService
from gannet_serving.rpc import Method, Methods

_MAX_REQUEST_BYTES = 256 << 20
"""TensorFlow Serving takes requests of 2 GiB; a few such would take all memory of a laptop."""
_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
    ("grpc.so_reuseport", 0),  # otherwise a second server on the same port would take half of the calls
]


class ModelServer:
    """Answers the calls of both services for the models of a manager.

    Attributes:
        address: `HOST:PORT` that it listens on, or `unix:PATH` if there is no port; set by `start`.
    """

    def __init__(self, manager: ModelManager, options: ServerOptions | None = None) -> None:
        """Prepares; `start` opens the ports.

        Args:
            manager: Finds the models.
            options: Where to listen and with how many threads; by default on any port that is free.

        Raises:
            UsageError: The arguments for gRPC are malformed.
        """
        self._options = options or ServerOptions(port=0)
        self._server = grpc.server(
            ThreadPoolExecutor(self._options.grpc_max_threads, thread_name_prefix="rpc"),
            handlers=[Methods(_methods(manager))],
            options=[*_OPTIONS, *self._options.channel_arguments],
        )
        self.address = ""

    def start(self) -> None:
        """Opens the ports and begins to answer.

        Raises:
            UsageError: A port cannot be opened.
        """
        host, port, socket = self._options.host, self._options.port, self._options.grpc_socket_path
        if socket:
            self.address = f"unix:{socket}"
            self._listen(self.address)
        if port is not None:
            self.address = joined(host, self._listen(joined(host, port)))
        self._server.start()

    def _listen(self, address: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError:
            raise cannot_listen(address, "it cannot be bound") from None

    def stop(self, grace: float) -> None:
        """Takes no more calls, and returns when those that run have ended or `grace` seconds have passed."""
        self._server.stop(grace).wait()


def _methods(manager: ModelManager) -> dict[str, Method]:
    prediction, model = PredictionService(manager), ModelService(manager)
    return {
        f"/{PREDICTION_SERVICE}/Predict": Method(PredictRequest, prediction.predict),
        f"/{PREDICTION_SERVICE}/GetModelMetadata": Method(
            GetModelMetadataRequest, prediction.get_model_metadata
        ),
        f"/{MODEL_SERVICE}/HandleReloadConfigRequest": Method(
            ReloadConfigRequest, model.handle_reload_config
        ),
        f"/{MODEL_SERVICE}/GetModelStatus": Method(GetModelStatusRequest, model.get_model_status),
    }
