"""Many rows of one signature: cut into requests that a server takes, side by side, in order."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from gannet_client.codec import Array
from gannet_client.errors import TooManyRows
from gannet_client.operations.attempts import Deadline
from gannet_client.operations.effects import Gather, Operation
from gannet_client.operations.messages import Answer
from gannet_client.operations.ref import ModelRef
from gannet_client.operations.server import Server

Inputs = Mapping[str, Array]

_FRAME: Final = 1024
"""Bytes of an answer beside its rows: names and shapes."""


class Cutting:
    """Sends rows in requests of a bearable size; remembers what a server takes.

    Args:
        server: Answers the requests.
        taken: The most rows that a server takes, by the model's name; kept up to date.
        rows: The most rows of one request.
        limit: The most bytes that an answer may have.
    """

    def __init__(self, server: Server, taken: dict[str, int], rows: int, limit: int) -> None:
        self._server = server
        self._taken = taken
        self._rows = rows
        self._limit = limit

    def size(self, name: str, row_bytes: int = 0) -> int:
        """The rows of one request to the model `name`, whose answer has `row_bytes` for each."""
        size = min(self._rows, self._taken.get(name, self._rows))
        return max(min(size, (self._limit - _FRAME) // row_bytes), 1) if row_bytes else size

    def predict(
        self,
        ref: ModelRef,
        version: int,
        signature: str,
        inputs: Inputs,
        deadline: Deadline,
        *,
        row_bytes: int = 0,
    ) -> Operation[list[Answer]]:
        """What the signature computes of all rows, in order.

        Args:
            ref: The model that the first request asks.
            version: Of it, that all others ask.
            signature: The signature.
            inputs: What it takes: arrays of as many rows. For no rows one is sent, of zeros: a batching
                TensorFlow Serving never answers zero rows, and an answer tells the shape.
            deadline: Of all requests.
            row_bytes: The bytes of one row in an answer; 0: not known.
        """
        first, *others = _cut(inputs, self.size(ref.name, row_bytes))
        if not others:
            return (yield from self._piece(ref, signature, first, deadline))
        exact = ref.at(version)
        answers = yield Gather(
            [
                self._piece(ref, signature, first, deadline),
                *(self._piece(exact, signature, piece, deadline) for piece in others),
            ]
        )
        return [answer for several in answers for answer in several]

    def _piece(
        self, ref: ModelRef, signature: str, inputs: Inputs, deadline: Deadline
    ) -> Operation[list[Answer]]:
        """One request; where the server takes fewer rows, several, one after the other."""
        try:
            return [(yield from self._server.predict(ref, signature, inputs, deadline))]
        except TooManyRows as error:
            if not 0 < error.limit < _count(inputs):
                raise
            self._taken[ref.name] = limit = error.limit
        answers = []
        for smaller in _cut(inputs, limit):
            answers += yield from self._piece(ref, signature, smaller, deadline)
        return answers


def _cut(inputs: Inputs, size: int) -> Iterator[Inputs]:
    if not _count(inputs):
        yield {name: np.zeros((1, *rows.shape[1:]), rows.dtype) for name, rows in inputs.items()}
    for start in range(0, _count(inputs), size):
        yield {name: rows[start : start + size] for name, rows in inputs.items()}


def _count(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))
