"""The client for programs with an event loop."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from numpy.typing import ArrayLike

from gannet_client import contract
from gannet_client._surface import Surface
from gannet_client.codec import Array
from gannet_client.conditions import Classes, Codes, Truncation
from gannet_client.drivers.tasks import AioChannels, Tasks
from gannet_client.generation import Generation
from gannet_client.interpolation import How
from gannet_client.operations.effects import Operation
from gannet_client.operations.rows import Format, Wish, wish_for
from gannet_client.operations.streaming import Stream
from gannet_client.operations.versions import Choice
from gannet_client.schema import Signature, VersionStatus
from gannet_client.seeds import as_seeds
from gannet_client.settings import Settings


class AsyncClient(Surface[Tasks]):
    """`Client` for programs with an event loop: the same methods, to be awaited.

    It belongs to the thread of the loop; another loop connects anew. What its methods take and return is told
    there.

    >>> async with AsyncClient("127.0.0.1:8500", model="digits") as client:  # doctest: +SKIP
    ...     images = await client.generate(16, seed=7)
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections; a second time does nothing."""
        await self._shell.close()

    async def generate(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        seeds: Sequence[int] | Array | None = None,
        noise: ArrayLike | None = None,
        classes: Classes | None = None,
        truncation: Truncation | None = None,
        codes: Codes | None = None,
        format: Format = "pixels",  # noqa: A002
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        pin: bool | None = None,
        timeout: float | None = None,
    ) -> Generation:
        """Draws images; each follows from its seed, its conditions and the version alone."""
        options = {"classes": classes, "truncation": truncation, "codes": codes}
        wish = wish_for(n, seed, seeds, noise, format, **options)
        return await self._shell.run(
            self._core.generate(wish, Choice(version, version_label, key, pin), timeout)
        )

    def stream(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        seeds: Iterable[int] | None = None,
        classes: Classes | Iterable[int | str] | None = None,
        truncation: Truncation | Iterable[float] | None = None,
        codes: Codes | Iterable[Sequence[float]] | None = None,
        format: Format = "pixels",  # noqa: A002
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        pin: bool | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Generation]:
        """Draws any number of images, piece by piece, in memory for a few pieces."""
        stream = Stream(n, seed, seeds, format, classes=classes, truncation=truncation, codes=codes)
        choice = Choice(version, version_label, key, pin)
        return self._streamed(self._core.stream(stream, choice, timeout))

    async def interpolate(
        self,
        seed_a: int,
        seed_b: int,
        steps: int,
        *,
        how: How = "slerp",
        classes: Classes | None = None,
        truncation: Truncation | None = None,
        codes: Codes | None = None,
        format: Format = "pixels",  # noqa: A002
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        pin: bool | None = None,
        timeout: float | None = None,
    ) -> Generation:
        """Draws the way from one image to another, both included."""
        wish = Wish(classes=classes, truncation=truncation, codes=codes, format=format, along=True)
        ends, choice = as_seeds([seed_a, seed_b]), Choice(version, version_label, key, pin)
        return await self._shell.run(self._core.interpolate(ends, steps, how, wish, choice, timeout))

    async def latents(
        self,
        seeds: Sequence[int] | Array,
        *,
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> Array:
        """The latent vectors of seeds, float32 [n, Z], as the server draws them; errors as for `generate`."""
        choice = Choice(version, version_label, key)
        return await self._shell.run(self._core.latents(as_seeds(seeds), choice, timeout))

    async def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        *,
        signature: str = contract.SERVING_DEFAULT,
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Runs any signature of any SavedModel: the raw way, in one request."""
        choice = Choice(version, version_label, key)
        return await self._shell.run(self._core.predict(inputs, signature, choice, timeout))

    async def card(
        self,
        *,
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """The model card: family, shapes, training, metrics and more, as the exporter wrote it."""
        return await self._shell.run(self._core.card(Choice(version, version_label, key), timeout))

    async def metadata(
        self,
        *,
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Signature]:
        """The signatures by name, with the dtypes and shapes of what they take; errors as for `generate`."""
        return await self._shell.run(self._core.metadata(Choice(version, version_label, key), timeout))

    async def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """The state of every version that the server has seen, highest first; errors as for `generate`."""
        return await self._shell.run(self._core.status(timeout))

    async def models(
        self, names: Iterable[str] = (), *, timeout: float | None = None
    ) -> dict[str, list[VersionStatus]]:
        """The state of several models by name: this client's, and those of `names`."""
        return await self._shell.run(self._core.models(names, timeout))

    async def wait_ready(self, timeout: float | None = None) -> int:
        """Waits until a version can be asked; patient with a server that is only starting."""
        return await self._shell.run(self._core.wait_ready(timeout))

    @staticmethod
    def _connect(settings: Settings) -> Tasks:
        return Tasks(AioChannels(settings), settings.parallel)

    async def _streamed(
        self, opening: Operation[Iterator[Operation[Generation]]]
    ) -> AsyncIterator[Generation]:
        async with aclosing(self._shell.in_order(await self._shell.run(opening))) as pieces:
            async for piece in pieces:
                yield piece
