"""The questions that a TensorFlow Serving answers, each as an operation."""

from collections.abc import Mapping

from gannet_client import schema, wire
from gannet_client.codec import Array
from gannet_client.contract import SIGNATURE_DEF
from gannet_client.operations.attempts import Attempts, Deadline
from gannet_client.operations.effects import Operation
from gannet_client.operations.messages import METADATA, PREDICT, STATUS, Answer, predict_request, read_answer
from gannet_client.operations.ref import ModelRef
from gannet_client.schema import Signature, VersionStatus


class Server:
    """What can be asked.

    Args:
        attempts: Sends the requests.
        limit: The most bytes that an answer may have.
    """

    def __init__(self, attempts: Attempts, limit: int) -> None:
        self._attempts = attempts
        self._limit = limit

    def status(
        self, name: str, deadline: Deadline, *, retried: bool = True
    ) -> Operation[list[VersionStatus]]:
        """The versions of a model that the server has seen, highest first."""
        ref = ModelRef(name)
        request = wire.GetModelStatusRequest(model_spec=ref.spec()).SerializeToString()
        reply = yield from self._attempts.send(STATUS, request, deadline, ref, retried=retried)
        return schema.read_status(wire.GetModelStatusResponse.FromString(reply.data))

    def signatures(self, ref: ModelRef, deadline: Deadline) -> Operation[tuple[int, dict[str, Signature]]]:
        """The version that answered, and the signatures of it by name."""
        request = wire.GetModelMetadataRequest(model_spec=ref.spec(), metadata_field=[SIGNATURE_DEF])
        reply = yield from self._attempts.send(METADATA, request.SerializeToString(), deadline, ref)
        response = wire.GetModelMetadataResponse.FromString(reply.data)
        return response.model_spec.version.value, schema.read_signatures(response)

    def predict(
        self, ref: ModelRef, signature: str, inputs: Mapping[str, Array], deadline: Deadline
    ) -> Operation[Answer]:
        """What the signature computes from the inputs."""
        request = predict_request(ref, signature, inputs)
        reply = yield from self._attempts.send(PREDICT, request, deadline, ref)
        rows = max((len(array) for array in inputs.values() if array.ndim), default=0)
        return read_answer(reply, rows, self._limit, str(ref))
