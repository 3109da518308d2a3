"""What a client can do, as operations without I/O; `Client` and `AsyncClient` drive them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from gannet_client import contract, schema
from gannet_client.codec import Array
from gannet_client.errors import (
    ModelError,
    ModelNotFound,
    RequestTimeout,
    ServerOverloaded,
    ServerUnreachable,
)
from gannet_client.generation import Generation
from gannet_client.interpolation import How, between, check_way
from gannet_client.operations.attempts import Attempts, Deadline
from gannet_client.operations.cutting import Cutting
from gannet_client.operations.drawing import draw, latents
from gannet_client.operations.effects import Operation, Sleep
from gannet_client.operations.endpoints import Endpoints
from gannet_client.operations.knowledge import Knowledge
from gannet_client.operations.messages import read_card
from gannet_client.operations.models import Model, check_rows
from gannet_client.operations.predicting import Predicting
from gannet_client.operations.ref import ModelRef
from gannet_client.operations.rows import Wish
from gannet_client.operations.server import Server
from gannet_client.operations.streaming import Stream
from gannet_client.operations.versions import Choice, Versions
from gannet_client.routing import Routes
from gannet_client.schema import Signature, VersionStatus
from gannet_client.settings import Settings

_POLL_SECONDS: Final = 0.1
_POLL_LIMIT: Final = 5.0
_LOOK: Final = "look at the server's log, or wait longer"
_CHUNK_BYTES: Final = 1 << 25


class Core:
    """The operations of one client.

    Args:
        settings: The client's.
        endpoints: The servers, with what is known of them; shared by the copies of a client.
        knowledge: What is known of their models; shared likewise.
        routes: The routing file that is followed; shared likewise.
    """

    def __init__(
        self, settings: Settings, endpoints: Endpoints, knowledge: Knowledge, routes: Routes | None
    ) -> None:
        self._timeout = settings.timeout
        self._targets = settings.targets
        self._server = Server(Attempts(settings, endpoints), settings.max_message_bytes)
        limit = min(settings.max_message_bytes, _CHUNK_BYTES)
        self._cutting = Cutting(self._server, knowledge.rows, settings.chunk_rows, limit)
        self._predicting = Predicting(self._server, knowledge.signatures)
        self._versions = Versions(
            self._server, knowledge, settings.model, routes, settings.pin, settings.value_range
        )

    def deadline(self, timeout: float | None) -> Deadline:
        """The end of a call that begins now."""
        return Deadline(self._timeout if timeout is None else timeout)

    def name(self) -> str:
        """The name of the model that is asked now."""
        return self._versions.name()

    def generate(self, wish: Wish, choice: Choice, timeout: float | None) -> Operation[Generation]:
        """See `Client.generate`."""
        deadline = self.deadline(timeout)
        return self._versions.chosen(choice, deadline, lambda ref: self._drawn(ref, wish, deadline))

    def stream(
        self, stream: Stream, choice: Choice, timeout: float | None
    ) -> Operation[Iterator[Operation[Generation]]]:
        """See `Client.stream`: opens it, and returns what draws its pieces."""
        deadline = self.deadline(timeout)

        def use(ref: ModelRef, model: Model) -> Operation[tuple[ModelRef, Model]]:
            yield from ()
            return ref, model

        ref, model = yield from self._versions.chosen(
            choice, deadline, lambda ref: self._versions.known(ref, deadline, use)
        )
        rows = self._cutting.size(ref.name, model.row_bytes(stream.format))
        held = Choice(version=model.version) if self._versions.holds(choice) else choice
        return (self.generate(wish, held, timeout) for wish in stream.wishes(rows))

    def interpolate(
        self, ends: Array, steps: int, how: How, wish: Wish, choice: Choice, timeout: float | None
    ) -> Operation[Generation]:
        """See `Client.interpolate`; `wish` lacks the noise, which is made here from the seeds `ends`."""
        check_way(steps, how)
        deadline = self.deadline(timeout)

        def ask(ref: ModelRef) -> Operation[Generation]:
            return self._versions.known(ref, deadline, go)

        def go(ref: ModelRef, model: Model) -> Operation[Generation]:
            check_rows(model, replace(wish, noise=np.zeros((steps, model.latent_dim), np.float32)))
            (start, end), _ = yield from latents(self._cutting, ref, model, ends, deadline)
            through = replace(wish, noise=between(start, end, steps, how))
            return (yield from draw(self._cutting, ref, model, through, deadline))

        return self._versions.chosen(choice, deadline, ask)

    def latents(self, seeds: Array, choice: Choice, timeout: float | None) -> Operation[Array]:
        """See `Client.latents`."""
        deadline = self.deadline(timeout)

        def use(ref: ModelRef, model: Model) -> Operation[Array]:
            return (yield from latents(self._cutting, ref, model, seeds, deadline))[0]

        return self._versions.chosen(choice, deadline, lambda ref: self._versions.known(ref, deadline, use))

    def card(self, choice: Choice, timeout: float | None) -> Operation[dict[str, Any]]:
        """See `Client.card`."""
        deadline = self.deadline(timeout)
        rows = {contract.ROWS: np.zeros(1, np.int64)}

        def ask(ref: ModelRef) -> Operation[dict[str, Any]]:
            answer = yield from self._server.predict(ref, contract.CARD, rows, deadline)
            return read_card(answer, ref)

        return self._versions.chosen(choice, deadline, ask)

    def metadata(self, choice: Choice, timeout: float | None) -> Operation[dict[str, Signature]]:
        """See `Client.metadata`."""
        deadline = self.deadline(timeout)

        def ask(ref: ModelRef) -> Operation[dict[str, Signature]]:
            return dict((yield from self._predicting.signatures(ref, deadline))[1])

        return self._versions.chosen(choice, deadline, ask)

    def predict(
        self, inputs: Mapping[str, ArrayLike], signature: str, choice: Choice, timeout: float | None
    ) -> Operation[dict[str, Array]]:
        """See `Client.predict`."""
        deadline = self.deadline(timeout)

        def ask(ref: ModelRef) -> Operation[dict[str, Array]]:
            return dict((yield from self._predicting.predict(ref, signature, inputs, deadline)).outputs)

        return self._versions.chosen(choice, deadline, ask)

    def status(self, timeout: float | None) -> Operation[list[VersionStatus]]:
        """See `Client.status`."""
        return self._server.status(self.name(), self.deadline(timeout))

    def models(
        self, names: Iterable[str], timeout: float | None
    ) -> Operation[dict[str, list[VersionStatus]]]:
        """See `Client.models`."""
        deadline, found = self.deadline(timeout), dict[str, list[VersionStatus]]()
        for name in dict.fromkeys([self.name(), *names]):
            try:
                found[name] = yield from self._server.status(name, deadline)
            except ModelNotFound:
                found[name] = []
        return found

    def wait_ready(self, timeout: float | None) -> Operation[int]:
        """See `Client.wait_ready`."""
        deadline = self.deadline(timeout)
        name = self.name()
        targets, polls = ", ".join(self._targets), 0
        where = f"{ModelRef(name)} at {targets}"
        seen = f"{where}: no answer"
        while left := deadline.remaining():
            try:
                polls += 1
                poll = Deadline(min(left, _POLL_LIMIT))  # a silent server keeps nobody from asking another
                states = yield from self._server.status(name, poll, retried=False)
                available = [state.version for state in states if state.state == schema.AVAILABLE]
                if available:
                    return max(available)
                seen = f"{where}: {', '.join(map(str, states)) or 'no versions'}"
            except (ModelError, ServerOverloaded, ServerUnreachable) as error:
                seen = str(error)
            except RequestTimeout:
                pass
            if deadline.remaining():
                yield Sleep(min(_POLL_SECONDS, deadline.remaining()))
        late = RequestTimeout(f"not ready within {deadline.seconds:g} s; last seen: {seen}", advice=_LOOK)
        late.endpoint, late.attempts = targets, polls
        raise ModelRef(name).tell(late)

    def _drawn(self, ref: ModelRef, wish: Wish, deadline: Deadline) -> Operation[Generation]:
        use = partial(draw, self._cutting, wish=wish, deadline=deadline)
        return self._versions.known(ref, deadline, use)
