"""Which version of a model a call asks, and what is known of it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gannet_client import contract
from gannet_client.errors import GannetError, ModelError, ModelNotFound, RequestRejected, UsageError
from gannet_client.operations.attempts import Deadline
from gannet_client.operations.effects import Operation
from gannet_client.operations.foreign import Foreign
from gannet_client.operations.knowledge import Knowledge
from gannet_client.operations.messages import read_card
from gannet_client.operations.models import Exported, Model
from gannet_client.operations.ref import ModelRef
from gannet_client.operations.server import Server
from gannet_client.routing import Routes

T = TypeVar("T")

_log = logging.getLogger("gannet_client")


@dataclass(frozen=True)
class Choice:
    """What a caller says about the version; nothing: the highest, or what the routing file says.

    Attributes:
        version: Its number.
        label: A label of it.
        key: Whom the images are for; picks a label by the routing file.
        pin: Whether a version, once found, is held; None: as the client does.
    """

    version: int | None = None
    label: str | None = None
    key: str | None = None
    pin: bool | None = None


class OtherVersion(Exception):
    """Another version answered than the one that is known."""


class Versions:
    """Finds versions, remembers what they are, and notices when another takes the place of one.

    Args:
        server: Answers the questions.
        knowledge: What was answered before, and what is held; kept up to date.
        name: The model that is asked where no routing file says so.
        routes: The routing file.
        pin: Whether the first version found is held.
        value_range: Of the images of models that Gannet did not export.
    """

    def __init__(
        self,
        server: Server,
        knowledge: Knowledge,
        name: str | None,
        routes: Routes | None,
        pin: bool,
        value_range: tuple[float, float],
    ) -> None:
        self._server = server
        self._known = knowledge.models
        self._pinned = knowledge.held
        self._name = name
        self._routes = routes
        self._pin = pin
        self._value_range = value_range
        self._gone: set[ModelRef] = set()

    def name(self) -> str:
        """The name of the model that is asked now."""
        if self._routes is not None:
            return self._routes.current().model
        assert self._name is not None  # as `Settings` has it
        return self._name

    def chosen(
        self, choice: Choice, deadline: Deadline, ask: Callable[[ModelRef], Operation[T]]
    ) -> Operation[T]:
        """Asks the version that the choice means; where a canary has gone, the stable one."""
        refs = self._refs(choice)
        for ref in refs[:-1]:
            try:
                result = yield from self._ask(ref, choice, deadline, ask)
                self._gone.discard(ref)
                return result
            except ModelNotFound as error:
                if ref not in self._gone:
                    self._gone.add(ref)
                    _log.warning("%s; asking the stable version", error)
        return (yield from self._ask(refs[-1], choice, deadline, ask))

    def known(
        self,
        ref: ModelRef,
        deadline: Deadline,
        use: Callable[[ModelRef, Model], Operation[T]],
    ) -> Operation[T]:
        """Uses what is known of a version, and asks anew where another one has taken its place.

        Args:
            ref: The version, as it was chosen.
            deadline: Of the whole.
            use: What to do with it: raises `OtherVersion` if another one than that of the model answered.
        """
        model, asked = self._known.get(ref), ref
        if model is None:
            model = yield from self._describe(ref, deadline)
            asked = ref.at(model.version)
        while True:
            try:
                return (yield from use(asked, model))
            except OtherVersion:
                model = yield from self._describe(ref, deadline)
            except (ModelError, RequestRejected, UsageError) as error:
                model = yield from self._successor(ref, model, error, asked is not ref, deadline)
            asked = ref.at(model.version)

    def _ask(
        self, ref: ModelRef, choice: Choice, deadline: Deadline, ask: Callable[[ModelRef], Operation[T]]
    ) -> Operation[T]:
        try:
            return (yield from ask((yield from self._held(ref, choice, deadline))))
        except GannetError as error:
            ref.tell(error)
            raise

    def _successor(
        self, ref: ModelRef, model: Model, error: GannetError, fresh: bool, deadline: Deadline
    ) -> Operation[Model]:
        """The version that has taken the place of `model`; where none has, the error it is."""
        ref.at(model.version).tell(error)
        if error.retryable or (fresh and not isinstance(error, ModelNotFound)):
            raise error
        try:
            successor = yield from self._describe(ref, deadline)
        except GannetError:
            raise error from None
        if successor == model:
            raise error
        return successor

    def _hold(self, ref: ModelRef, deadline: Deadline) -> Operation[ModelRef]:
        """The version that `ref` means now, by number."""
        if ref.version is not None:
            return ref
        version, _ = yield from self._server.signatures(ref, deadline)  # any model has them
        return ref.at(version)

    def holds(self, choice: Choice) -> bool:
        """Whether the version of a call is held."""
        return self._pin if choice.pin is None else choice.pin

    def _held(self, ref: ModelRef, choice: Choice, deadline: Deadline) -> Operation[ModelRef]:
        if not self.holds(choice):
            return ref
        held = self._pinned.get(ref)
        if held is None:
            held = yield from self._hold(ref, deadline)
            if self._pin:
                held = self._pinned.setdefault(ref, held)
        return held

    def _refs(self, choice: Choice) -> list[ModelRef]:
        """The versions to ask, one after the other until one is there."""
        if self._routes is None:
            if choice.key is not None:
                raise UsageError("key= picks a version by a routing file; make the client with routing=PATH")
            return [ModelRef(self.name(), choice.version, choice.label)]
        route = self._routes.current()
        if choice.version is not None or choice.label is not None:
            return [ModelRef(route.model, choice.version, choice.label)]
        return route.refs(choice.key)

    def _describe(self, ref: ModelRef, deadline: Deadline) -> Operation[Model]:
        model = yield from self._asked(ref, deadline)
        self._known[ref] = self._known[ref.at(model.version)] = model
        return model

    def _asked(self, ref: ModelRef, deadline: Deadline) -> Operation[Model]:
        rows = {contract.ROWS: np.zeros(1, np.int64)}
        try:
            answer = yield from self._server.predict(ref, contract.CARD, rows, deadline)
        except ModelNotFound:
            raise
        except ModelError as refusal:  # no such signature: Gannet did not export this model
            version, signatures = yield from self._server.signatures(ref, deadline)
            exact = ref.at(version)
            try:
                return Foreign.of_signatures(signatures, version, str(exact), self._value_range)
            except ModelError as error:
                error.endpoint, error.attempts = refusal.endpoint, refusal.attempts
                raise exact.tell(error) from None
        card, exact = read_card(answer, ref), ref.at(answer.version)
        try:
            return Exported.of_card(card, answer.version, str(exact))
        except ModelError as error:
            raise answer.tell(exact.tell(error)) from error.__cause__
