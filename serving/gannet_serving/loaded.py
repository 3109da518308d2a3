"""What a loaded version can do, whether its requests are merged or not."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from gannet_client.codec import Array
from gannet_serving.callers import UNHURRIED, Caller
from gannet_serving.versions import Version

if TYPE_CHECKING:
    from gannet_serving.signatures import Signature


class LoadedModel(Protocol):
    """A version in memory. Safe to use from many threads until it is closed.

    Attributes:
        signatures: What the model can be asked for, by key.
    """

    signatures: "dict[str, Signature]"

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], call: Caller = UNHURRIED
    ) -> list[Array]:
        """Computes the tensors `fetches` from the tensors `feeds`.

        Args:
            feeds: Values by tensor name (`serving_default_noise:0`), of exactly the graph's dtypes.
            fetches: Names of the tensors to compute.
            call: On whose behalf: if the run has to wait, it does so no longer than its caller.

        Returns:
            One array per name in `fetches`, in that order.

        Raises:
            StatusError: The values do not fit, nobody waits any more, or an op failed.
        """

    def retire(self) -> None:
        """Says that no further call will come: whoever waits to be merged with others need not."""

    def close(self) -> None:
        """Frees the memory. No call may come later."""


Loader = Callable[[Version], LoadedModel]
"""Loads a version and makes it ready for requests. May raise anything."""
