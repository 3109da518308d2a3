"""The raw way to a model: any signature, checked before anything is sent against what the model says."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from gannet_client.codec import Array
from gannet_client.errors import GannetError, ModelError, RequestRejected, UsageError
from gannet_client.operations.attempts import Deadline
from gannet_client.operations.effects import Operation
from gannet_client.operations.messages import Answer
from gannet_client.operations.ref import ModelRef
from gannet_client.operations.server import Server
from gannet_client.schema import Signature, TensorSpec

_Known = tuple[int, Mapping[str, Signature]]


class Predicting:
    """Runs signatures; remembers those of every version.

    A batching server runs the requests of several callers as one: what does not fit the signature would fail
    theirs as well.

    Args:
        server: Answers the requests.
        known: What was answered before; kept up to date.
    """

    def __init__(self, server: Server, known: dict[ModelRef, _Known]) -> None:
        self._server = server
        self._known = known

    def signatures(self, ref: ModelRef, deadline: Deadline) -> Operation[_Known]:
        """The version that answers, and the signatures of it."""
        known = yield from self._server.signatures(ref, deadline)
        self._known[ref] = self._known[ref.at(known[0])] = known
        return known

    def predict(
        self, ref: ModelRef, signature: str, inputs: Mapping[str, ArrayLike], deadline: Deadline
    ) -> Operation[Answer]:
        """Runs a signature on inputs."""
        remembered = self._known.get(ref)
        known = remembered or (yield from self.signatures(ref, deadline))
        try:
            arrays = check_inputs(known, ref, signature, inputs)
        except (ModelError, UsageError):
            if remembered is None:
                raise
            known = yield from self.signatures(ref, deadline)
            arrays = check_inputs(known, ref, signature, inputs)
        try:
            answer = yield from self._server.predict(ref, signature, arrays, deadline)
        except (ModelError, RequestRejected) as error:
            if not error.retryable:  # the signature may be another one by now
                self._known.pop(ref, None)
            raise
        if answer.version != known[0]:
            self._known.pop(ref, None)
        return answer


def check_inputs(
    known: _Known, ref: ModelRef, signature: str, inputs: Mapping[str, ArrayLike]
) -> dict[str, Array]:
    """The inputs as arrays, if the signature takes them.

    Args:
        known: A version and its signatures.
        ref: The model, for messages.
        signature: The signature's name.
        inputs: Arrays of exactly its dtypes, or lists, which are made into such.

    Raises:
        ModelError: There is no such signature.
        UsageError: It does not take this.
    """
    exact = ref.at(known[0])
    if signature not in known[1]:
        told = f"{exact} has no signature {signature!r}; it has {', '.join(known[1]) or 'none'}"
        raise exact.tell(ModelError(told, advice="call one that it has"))
    specs = known[1][signature].inputs
    if inputs.keys() != specs.keys():
        raise exact.tell(
            UsageError(f"{exact}, signature {signature!r}, takes {_names(specs)}; received {_names(inputs)}")
        )
    try:
        return {name: _fitted(name, value, specs[name], exact) for name, value in inputs.items()}
    except GannetError as error:
        raise exact.tell(error) from error.__cause__


def _fitted(name: str, value: ArrayLike, spec: TensorSpec, ref: ModelRef) -> Array:
    array = value if isinstance(value, np.ndarray) else _made(value, spec)
    if not spec.fits(array):
        raise UsageError(f"{ref} takes {name} {spec}; received {array.dtype} {list(array.shape)}")
    return array


def _made(value: ArrayLike, spec: TensorSpec) -> Array:
    """An array of what is none yet, in the dtype that is wanted where the values allow it."""
    if spec.dtype == "bytes":
        return np.asarray(value, object)
    array = np.asarray(value)
    try:
        return array.astype(spec.dtype, casting="same_kind") if array.dtype.kind in "iufb" else array
    except TypeError:
        return array


def _names(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "nothing"
