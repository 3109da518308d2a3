"""What the client sends and how it reads the answers: pure, without a network."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gannet_client import codec, contract
from gannet_client.codec import Array
from gannet_client.errors import (
    EXPORT_AGAIN,
    INSTALL_OTHER,
    GannetError,
    ModelError,
    RequestRejected,
    UsageError,
)
from gannet_client.operations.attempts import Reply
from gannet_client.operations.ref import ModelRef

PREDICT: Final = f"/{contract.PREDICTION_SERVICE}/Predict"
METADATA: Final = f"/{contract.PREDICTION_SERVICE}/GetModelMetadata"
STATUS: Final = f"/{contract.MODEL_SERVICE}/GetModelStatus"


class Answer(NamedTuple):
    """What a signature computed.

    Attributes:
        outputs: The arrays by name.
        rows: How many rows were asked for.
        version: Of the model that computed them.
        endpoint: The address that answered.
        attempts: How many requests it took.
        seconds: How long the last one took.
    """

    outputs: Mapping[str, Array]
    rows: int
    version: int
    endpoint: str
    attempts: int
    seconds: float

    def tell(self, error: GannetError) -> GannetError:
        """The error, which now knows the answer that it is about."""
        error.endpoint, error.attempts = self.endpoint, self.attempts
        return error


def predict_request(ref: ModelRef, signature: str, inputs: Mapping[str, Array]) -> bytes:
    """The message that runs `signature` on `inputs`."""
    try:
        return codec.encode_request(ref.spec(signature), inputs)
    except ValueError as error:
        raise UsageError(str(error)) from error


def read_answer(reply: Reply, rows: int, limit: int, what: str) -> Answer:
    """The arrays of an answer, none of which may expand beyond `limit` bytes."""
    try:
        outputs, _, version = codec.read_response(reply.data, max_expanded_bytes=limit)
    except ValueError as error:
        rejected = RequestRejected(f"{what} at {reply.endpoint}: the answer cannot be read: {error}")
        rejected.endpoint, rejected.attempts = reply.endpoint, reply.attempts
        raise rejected from error
    return Answer(outputs, rows, version, reply.endpoint, reply.attempts, reply.seconds)


def read_card(answer: Answer, ref: ModelRef) -> dict[str, Any]:
    """The model card of an answer of the signature `card`."""
    exact = ref.at(answer.version)
    try:
        card = json.loads(answer.outputs[contract.CARD].ravel()[0])
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        told = f"{exact}: the model card cannot be read ({error!r:.100})"
        raise exact.tell(answer.tell(ModelError(told, advice=EXPORT_AGAIN))) from error
    if not isinstance(card, dict) or card.get("format") != contract.CARD_FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        told = f"{exact}: the model card has format {found!r}; this release reads {contract.CARD_FORMAT}"
        raise exact.tell(answer.tell(ModelError(told, advice=INSTALL_OTHER)))
    return card
