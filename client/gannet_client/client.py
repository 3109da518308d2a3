"""The client: images, and all else, from a TensorFlow Serving or Gannet's embedded server."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from numpy.typing import ArrayLike

from gannet_client import contract
from gannet_client._surface import Surface
from gannet_client.codec import Array
from gannet_client.conditions import Classes, Codes, Truncation
from gannet_client.drivers.threads import Channels, Threads
from gannet_client.generation import Generation
from gannet_client.interpolation import How
from gannet_client.operations.rows import Format, Wish, wish_for
from gannet_client.operations.streaming import Stream
from gannet_client.operations.versions import Choice
from gannet_client.schema import Signature, VersionStatus
from gannet_client.seeds import as_seeds
from gannet_client.settings import Settings


class Client(Surface[Threads]):
    """Asks one model of one server, or of several servers that serve the same, for images.

    Cheap to make, since it connects with the first call. Use it as a context manager, or call `close`. Safe
    to share between threads; a process that was forked connects anew.

    >>> with Client("127.0.0.1:8500", model="digits") as client:  # doctest: +SKIP
    ...     paths = client.generate(16, seed=7).save("images")
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections; a second time does nothing."""
        self._shell.close()

    def generate(
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
        """Draws images; each follows from its seed, its conditions and the version alone.

        Args:
            n: How many images, at most `seeds.MAX_SEEDS` (100 000); their seeds are `seed`, `seed + 1`, and
                so on.
            seed: The first seed; by default random, to be found in the result.
            seeds: In place of `n` and `seed`: the seed of every image. None at all is legal.
            noise: In place of seeds: latent vectors [n, Z], finite.
            classes: For a model that has classes: the class of all images or a sequence of one for each, by
                name or by number; by default, and for -1, drawn from the image's seed.
            truncation: For a model that truncates: how far all images, or each, may go from the average one,
                from 0 (the average) to 1 (as far as they are, the default).
            codes: For a model that has K codes: K numbers for all images, or [n, K]; by default, and for
                NaN, drawn from the image's seed.
            format: "pixels" for uint8, "png" for PNG files, "float" for float32 in the model's own range.
            version: The version to ask; by default the highest that is available when the call begins.
            version_label: In place of `version`: a label of the server, such as `stable`.
            key: For a client with a routing file: whom the images are for; the same key gets the same label.
            pin: Whether the version found first is held, and its end is an error; by default as the client
                does. Without, a call that meets the end of its version begins again with the next one.
            timeout: Seconds for the whole call; by default the client's.

        Returns:
            The images, all of one version, in the order of their seeds.

        Raises:
            UsageError: The arguments contradict each other, are out of range, or not what the model takes.
            ServerUnreachable: Nothing answers at the address.
            ModelError: The model, the version or the label is not served, or draws no images from seeds.
            RequestTimeout: The images were not complete in time.
            RequestRejected: The server refused or failed a request.
        """
        options = {"classes": classes, "truncation": truncation, "codes": codes}
        wish = wish_for(n, seed, seeds, noise, format, **options)
        return self._shell.run(self._core.generate(wish, Choice(version, version_label, key, pin), timeout))

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
    ) -> Iterator[Generation]:
        """Draws any number of images, piece by piece, in memory for a few pieces.

        Pieces come in order, and the next ones are under way while one is used. What is left when the
        iterator is closed is not drawn.

        Args:
            n: How many images; there is no limit.
            seed: As for `generate`.
            seeds: In place of `n` and `seed`: any iterable, read as far as it is needed.
            classes: As for `generate`, or an iterable that is read like `seeds`.
            truncation: Likewise.
            codes: Likewise, of rows.
            format: As for `generate`.
            version: As for `generate`.
            version_label: As for `generate`.
            key: As for `generate`.
            pin: Whether all pieces are of the version that is found first; otherwise each tells its own.
            timeout: Seconds for each piece; by default the client's.

        Returns:
            The pieces, of `chunk_rows` images or fewer.

        Raises:
            GannetError: As for `generate`, also while the iterator is read.
        """
        stream = Stream(n, seed, seeds, format, classes=classes, truncation=truncation, codes=codes)
        choice = Choice(version, version_label, key, pin)
        return self._shell.in_order(self._shell.run(self._core.stream(stream, choice, timeout)))

    def interpolate(
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
        """Draws the way from one image to another, both included.

        Args:
            seed_a: The seed of the first image.
            seed_b: The seed of the last.
            steps: How many images, at least 2.
            how: "slerp" along the arc between the latent vectors, "lerp" along the straight line.
            classes: As for `generate`, but to be chosen for a model that has classes.
            truncation: As for `generate`.
            codes: As for `generate`, but to be chosen for a model that has codes.
            format: As for `generate`.
            version: As for `generate`.
            version_label: As for `generate`.
            key: As for `generate`.
            pin: As for `generate`.
            timeout: As for `generate`.

        Returns:
            The images, which have no seeds, all of one version.

        Raises:
            GannetError: As for `generate`.
        """
        wish = Wish(classes=classes, truncation=truncation, codes=codes, format=format, along=True)
        ends, choice = as_seeds([seed_a, seed_b]), Choice(version, version_label, key, pin)
        return self._shell.run(self._core.interpolate(ends, steps, how, wish, choice, timeout))

    def latents(
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
        return self._shell.run(self._core.latents(as_seeds(seeds), choice, timeout))

    def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        *,
        signature: str = contract.SERVING_DEFAULT,
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Runs any signature of any SavedModel: the raw way, in one request.

        Args:
            inputs: What the signature takes, by name: arrays of exactly its dtypes, or lists.
            signature: The signature's name.
            version: As for `generate`.
            version_label: As for `generate`.
            key: As for `generate`.
            timeout: As for `generate`.

        Returns:
            The outputs by name, possibly as read-only views; strings as object arrays of `bytes`.

        Raises:
            GannetError: As for `generate`.
        """
        choice = Choice(version, version_label, key)
        return self._shell.run(self._core.predict(inputs, signature, choice, timeout))

    def card(
        self,
        *,
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """The model card: family, shapes, training, metrics and more, as the exporter wrote it.

        Raises:
            ModelError: The model has no card, or one of a format that this release does not read.
            GannetError: As for `generate`.
        """
        return self._shell.run(self._core.card(Choice(version, version_label, key), timeout))

    def metadata(
        self,
        *,
        version: int | None = None,
        version_label: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Signature]:
        """The signatures by name, with the dtypes and shapes of what they take; errors as for `generate`."""
        return self._shell.run(self._core.metadata(Choice(version, version_label, key), timeout))

    def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """The state of every version that the server has seen, highest first; errors as for `generate`."""
        return self._shell.run(self._core.status(timeout))

    def models(
        self, names: Iterable[str] = (), *, timeout: float | None = None
    ) -> dict[str, list[VersionStatus]]:
        """The state of several models by name: this client's, and those of `names`.

        TensorFlow Serving tells nobody which models it serves: a name that it does not know has no versions.
        Errors as for `generate`.
        """
        return self._shell.run(self._core.models(names, timeout))

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
        return self._shell.run(self._core.wait_ready(timeout))

    @staticmethod
    def _connect(settings: Settings) -> Threads:
        return Threads(Channels(settings), settings.parallel)
