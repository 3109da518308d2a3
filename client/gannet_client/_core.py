"""What the client sends and how it reads the answers: pure, without a network.

A synchronous client and an asynchronous one differ in how they wait, not in what stands here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from gannet_client import codec, contract, wire
from gannet_client.codec import Array
from gannet_client.errors import ModelError, RequestRejected, UsageError
from gannet_client.seeds import check_int64

CHUNK_ROWS: Final = 64
"""Rows of one request."""


@dataclass(frozen=True)
class ModelRef:
    """Which model is asked: a version by number, by label, or (neither) the highest that is available."""

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise UsageError(f"model must be the name of a served model; received {self.name!r}")
        check_text("model", self.name)
        if self.version is not None and self.label is not None:
            raise UsageError("pass either version or version_label, not both")
        if self.version is not None:
            check_int64("version", self.version)
        if self.label is not None:
            check_text("version_label", self.label)

    def spec(self, signature: str = "") -> wire.ModelSpec:
        """The message that selects this model."""
        spec = wire.ModelSpec(name=self.name, signature_name=check_text("signature", signature))
        if self.version is not None:
            spec.version.value = self.version
        elif self.label is not None:
            spec.version_label = self.label
        return spec


def check_text(name: str, value: str) -> str:
    """The value; whatever else than text that UTF-8 can write is a UsageError naming `name`.

    A byte of the command line that is no UTF-8 arrives as half of a character, which cannot be sent.
    """
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        raise UsageError(f"{name} must be text that can be written as UTF-8; received {value!r}") from None
    return value


@dataclass(frozen=True)
class Answer:
    """The outputs of one call, the version that computed them, and `where`: the model and its address."""

    outputs: dict[str, Array]
    version: int
    where: str


def chunks(inputs: Mapping[str, Array], size: int = CHUNK_ROWS) -> Iterator[dict[str, Array]]:
    """The rows of int64 inputs in pieces that one request may carry, in order.

    A batching TensorFlow Serving never answers zero rows: in their place comes one, which tells the shape.
    """
    rows = len(next(iter(inputs.values())))
    for start in range(0, max(rows, 1), size):
        yield {
            name: values[start : start + size] if rows else np.zeros(1, np.int64)
            for name, values in inputs.items()
        }


def predict_request(model: ModelRef, signature: str, inputs: Mapping[str, ArrayLike]) -> wire.PredictRequest:
    """The message that runs `signature` on `inputs`."""
    request = wire.PredictRequest(model_spec=model.spec(signature))
    for name, value in inputs.items():
        try:
            codec.encode(np.asarray(value), request.inputs[name])
        except ValueError as error:
            raise UsageError(f"input {name!r} cannot be sent: {error}") from error
    return request


def read_answer(response: wire.PredictResponse, limit: int, where: str) -> Answer:
    """The arrays of an answer, none of which may expand beyond `limit` bytes."""
    outputs = {}
    for name, proto in response.outputs.items():
        try:
            outputs[name] = codec.decode(proto, max_expanded_bytes=limit)
        except ValueError as error:
            raise RequestRejected(f"{where}: output {name!r} is malformed: {error}") from error
    return Answer(outputs, response.model_spec.version.value, where)


def read_pixels(answer: Answer, rows: int) -> Array:
    """The images of an answer of a pixel signature: uint8 [rows, H, W, C]."""
    pixels = answer.outputs.get(contract.PIXELS)
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != rows:
        received = {name: f"{array.dtype} {list(array.shape)}" for name, array in answer.outputs.items()}
        raise ModelError(
            f"{answer.where}: expected the output {contract.PIXELS!r} as uint8 [{rows}, H, W, C]; "
            f"received {received}; Client.predict() calls models that Gannet did not export"
        )
    return pixels


def read_card(answer: Answer) -> dict[str, Any]:
    """The model card of an answer of the signature `card`."""
    try:
        card = json.loads(answer.outputs[contract.CARD].ravel()[0])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"{answer.where}: the model card cannot be read ({error!r:.100})") from error
    if not isinstance(card, dict) or card.get("format") != contract.CARD_FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise ModelError(
            f"{answer.where}: the model card has format {found!r}; this release reads "
            f"{contract.CARD_FORMAT}: install the release of gannet-toolkit that exported the model"
        )
    return card
