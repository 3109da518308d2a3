"""The client: images, and all else, from a TensorFlow Serving or Gannet's embedded server."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike

from gannet_client import _core, contract, schema, wire
from gannet_client._channel import METADATA, PREDICT, STATUS, Channel, Deadline
from gannet_client._core import Answer, ModelRef
from gannet_client.codec import Array
from gannet_client.conditions import Classes, Conditions, resolve_labels
from gannet_client.errors import (
    ModelError,
    RequestRejected,
    RequestTimeout,
    ServerUnreachable,
    UsageError,
)
from gannet_client.generation import Generation
from gannet_client.schema import Signature, VersionStatus
from gannet_client.seeds import resolve_seeds

_POLL_SECONDS: Final = 0.1


class Client:
    """Asks one model of one server; cheap to make, since it connects with the first call.

    Safe to share between threads. Use it as a context manager, or call `close`.

    Args:
        target: `host:port` of the gRPC port, also behind gRPC's `dns:`, `ipv4:` or `ipv6:`; or `unix:path`.
        model: The name under which the model is served.
        timeout: Seconds within which a call must be complete, however many requests it takes.
        max_message_bytes: The largest answer to accept.

    Raises:
        UsageError: An argument is out of range.

    >>> with Client("127.0.0.1:8500", model="digits") as client:  # doctest: +SKIP
    ...     client.generate(16, seed=7).save("images")
    """

    def __init__(
        self,
        target: str = f"{contract.LOOPBACK}:{contract.GRPC_PORT}",
        *,
        model: str,
        timeout: float = 30.0,
        max_message_bytes: int = 1 << 28,
    ) -> None:
        self._channel = Channel(target, max_message_bytes)
        self._model = ModelRef(model).name
        self._timeout = Deadline(timeout).seconds
        self._conditions: dict[ModelRef, Conditions] = {}

    @property
    def target(self) -> str:
        """The address of the server."""
        return self._channel.target

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._model

    def __repr__(self) -> str:
        return f"Client({self.target!r}, model={self.model!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; a second time does nothing."""
        self._channel.close()

    def generate(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        seeds: Sequence[int] | Array | None = None,
        classes: Classes | None = None,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float | None = None,
    ) -> Generation:
        """Draws images. Image i depends on its seed, its class and the version, not on its neighbours.

        Args:
            n: How many images, at most `seeds.MAX_SEEDS` (100 000); their seeds are `seed`, `seed + 1`, and
                so on.
            seed: The first seed; by default random, to be found in the result.
            seeds: In place of `n` and `seed`: the seed of every image. None at all is legal.
            classes: For a model that has classes: the class of all images or a sequence of one for each, by
                name or by number; by default, and for -1, drawn from the image's seed.
            version: The version to ask; by default the highest that is available when the call begins.
            version_label: In place of `version`: a label of the server, such as `stable`.
            timeout: Seconds for the whole call; by default the client's.

        Returns:
            The images, all of one version, in the order of their seeds.

        Raises:
            UsageError: The arguments contradict each other or are out of range, or there is no such class.
            ServerUnreachable: Nothing answers at the address.
            ModelError: The model, the version or the label is not served, or draws no images from seeds.
            RequestTimeout: The images were not complete in time.
            RequestRejected: The server refused or failed a request.
        """
        chosen = resolve_seeds(n, seed, seeds)
        model = ModelRef(self._model, version, version_label)
        return self._generate(model, chosen, classes, self._deadline(timeout))

    def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        *,
        signature: str = contract.SERVING_DEFAULT,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Runs any signature of any SavedModel: the raw way, in one request.

        Args:
            inputs: What the signature takes, by name, in exactly its dtypes.
            signature: The signature's name.
            version: As for `generate`.
            version_label: As for `generate`.
            timeout: As for `generate`.

        Returns:
            The outputs by name, possibly as read-only views; strings as object arrays of `bytes`.

        Raises:
            GannetError: As for `generate`.
        """
        model = ModelRef(self._model, version, version_label)
        return self._predict(model, signature, inputs, self._deadline(timeout)).outputs

    def card(
        self,
        *,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """The model card: family, shapes, training, metrics and more, as the exporter wrote it.

        Raises:
            ModelError: The model has no card, or one of a format that this release does not read.
            GannetError: As for `generate`.
        """
        model = ModelRef(self._model, version, version_label)
        return _core.read_card(self._card(model, self._deadline(timeout)))

    def metadata(
        self,
        *,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Signature]:
        """The signatures by name, with the dtypes and shapes of what they take; errors as for `generate`."""
        model = ModelRef(self._model, version, version_label)
        request = wire.GetModelMetadataRequest(
            model_spec=model.spec(), metadata_field=[contract.SIGNATURE_DEF]
        )
        deadline = self._deadline(timeout)
        return schema.read_signatures(
            self._channel.call(METADATA, request, wire.GetModelMetadataResponse, deadline, self._where)
        )

    def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """The state of every version that the server has seen, highest first; errors as for `generate`."""
        return self._status(self._deadline(timeout))

    def wait_ready(self, timeout: float | None = None) -> int:
        """Waits until a version can be asked; patient with a server that is only starting.

        Args:
            timeout: Seconds to wait; by default the client's.

        Returns:
            The highest version that is available.

        Raises:
            RequestTimeout: None was in time; the message tells what was seen last.
            RequestRejected: The server refused the question.
        """
        deadline = self._deadline(timeout)
        seen = f"{self._where}: no answer"
        while deadline.remaining():
            try:
                states = self._status(deadline)
                available = [state.version for state in states if state.state == schema.AVAILABLE]
                if available:
                    return max(available)
                seen = f"{self._where}: {', '.join(map(str, states)) or 'no versions'}"
            except (ServerUnreachable, ModelError) as error:
                seen = str(error)
            except RequestTimeout:
                break
            time.sleep(min(_POLL_SECONDS, deadline.remaining()))
        raise RequestTimeout(f"not ready within {deadline.seconds:g} s; last seen: {seen}")

    @property
    def _where(self) -> str:
        return f"model {self._model!r} at {self.target}"

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._timeout if timeout is None else timeout)

    def _generate(
        self, model: ModelRef, seeds: Array, classes: Classes | None, deadline: Deadline
    ) -> Generation:
        """Draws by what is remembered of the model, and anew where another version has taken its place."""
        remembered, failure = self._conditions.get(model), None
        if remembered is not None:
            try:
                images = self._draw(model, remembered, seeds, classes, deadline)
                if images.version == remembered.version:
                    return images
            except (RequestRejected, UsageError) as error:
                failure = error
        card = self._card(model, deadline)
        conditions = Conditions.of_card(_core.read_card(card), card.version, card.where)
        if failure is not None and conditions == remembered:
            raise failure
        self._conditions[model] = conditions
        return self._draw(ModelRef(self._model, card.version), conditions, seeds, classes, deadline)

    def _draw(
        self,
        model: ModelRef,
        conditions: Conditions,
        seeds: Array,
        classes: Classes | None,
        deadline: Deadline,
    ) -> Generation:
        labels = resolve_labels(classes, conditions.class_names, len(seeds), self._where)
        inputs = (
            {contract.SEEDS: seeds} if labels is None else {contract.SEEDS: seeds, contract.LABELS: labels}
        )
        parts = []
        for rows in _core.chunks(inputs):
            answer = self._predict(model, contract.SEEDED_PIXELS, rows, deadline)
            model = ModelRef(self._model, answer.version)
            parts.append(_core.read_pixels(answer, len(rows[contract.SEEDS])))
        return Generation(
            array=np.concatenate(parts)[: len(seeds)],
            seeds=seeds,
            model=self._model,
            version=answer.version,
            classes=labels,
        )

    def _card(self, model: ModelRef, deadline: Deadline) -> Answer:
        return self._predict(model, contract.CARD, {contract.ROWS: np.zeros(1, np.int64)}, deadline)

    def _status(self, deadline: Deadline) -> list[VersionStatus]:
        request = wire.GetModelStatusRequest(model_spec=ModelRef(self._model).spec())
        return schema.read_status(
            self._channel.call(STATUS, request, wire.GetModelStatusResponse, deadline, self._where)
        )

    def _predict(
        self, model: ModelRef, signature: str, inputs: Mapping[str, ArrayLike], deadline: Deadline
    ) -> Answer:
        request = _core.predict_request(model, signature, inputs)
        response = self._channel.call(PREDICT, request, wire.PredictResponse, deadline, self._where)
        return _core.read_answer(response, self._channel.max_message_bytes, self._where)
