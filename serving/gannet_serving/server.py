"""The gRPC server: the two services on one port."""

import os
from concurrent.futures import ThreadPoolExecutor

import grpc
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from gannet_client.contract import LOOPBACK, MODEL_SERVICE, PREDICTION_SERVICE
from gannet_serving.address import cannot_listen, joined
from gannet_serving.manager import ModelManager
from gannet_serving.model_service import ModelService
from gannet_serving.prediction_service import PredictionService
from gannet_serving.rpc import Method, Methods

_THREADS_PER_CORE = 4
_MAX_REQUEST_BYTES = 256 << 20
"""TensorFlow Serving takes requests of 2 GiB; a few such would take all memory of a laptop."""
_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
    ("grpc.so_reuseport", 0),  # otherwise a second server on the same port would take half of the calls
]


class ModelServer:
    """Answers Predict, GetModelMetadata and GetModelStatus for the models of a manager.

    Attributes:
        address: `HOST:PORT` that it listens on; set by `start`.
    """

    def __init__(self, manager: ModelManager, *, host: str = LOOPBACK, port: int = 0) -> None:
        """Prepares; `start` opens the port.

        Args:
            manager: Finds the models.
            host: Address of the interface to listen on.
            port: TCP port; 0 stands for any that is free.
        """
        self._host = host
        self._port = port
        threads = ThreadPoolExecutor(_THREADS_PER_CORE * (os.cpu_count() or 1), thread_name_prefix="rpc")
        self._server = grpc.server(threads, handlers=[Methods(_methods(manager))], options=_OPTIONS)
        self.address = joined(host, port)

    def start(self) -> None:
        """Opens the port and begins to answer.

        Raises:
            UsageError: The port cannot be opened.
        """
        try:
            port = self._server.add_insecure_port(self.address)
        except RuntimeError:
            raise cannot_listen(self.address, "the port cannot be bound") from None
        self.address = joined(self._host, port)
        self._server.start()

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
        f"/{MODEL_SERVICE}/GetModelStatus": Method(GetModelStatusRequest, model.get_model_status),
    }
