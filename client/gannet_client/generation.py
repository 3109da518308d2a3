"""What `Client.generate` returns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, overload

import numpy as np

from gannet_client import contract, images
from gannet_client.codec import Array
from gannet_client.errors import MissingExtra, ModelError, UsageError
from gannet_client.files import write_bytes
from gannet_client.record import Record

if TYPE_CHECKING:
    from PIL.Image import Image

_SHOWN: Final = 64
_VALUE_RANGE: Final = (-1.0, 1.0)


@dataclass(frozen=True)
class Timings:
    """How long a call took.

    Attributes:
        total: Seconds of the whole call, pauses before further attempts included.
        requests: Seconds of each request that was answered, in the order of the rows.
    """

    total: float
    requests: tuple[float, ...] = ()


class _Decoded:
    """The field `array`: what was given, or else decoded from `pngs` when it is first asked for."""

    @overload
    def __get__(self, generation: None, owner: type) -> None: ...
    @overload
    def __get__(self, generation: "Generation", owner: type) -> Array: ...
    def __get__(self, generation: "Generation | None", owner: type) -> Array | None:
        if generation is None:
            return None  # the field's default
        if generation.__dict__["array"] is None:
            generation.__dict__["array"] = images.decode_pngs(generation.pngs or ())
        array: Array = generation.__dict__["array"]
        return array

    def __set__(self, generation: "Generation", array: Array | None) -> None:
        generation.__dict__["array"] = array


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Generation:
    """Images with all that is needed to draw them again.

    Attributes:
        array: [n, H, W, C], uint8, or float32 in `value_range` where floats were asked for.
        seeds: int64 [n]; image i was drawn from seed i. None for images from a caller's noise.
        model: The name of the model.
        version: The version that drew every one of these images.
        classes: int64 [n], the class of each image by number, -1 where it was drawn from the seed; None for a
            model without classes.
        truncation: float32 [n], 1 where it is off; None for a model that does not truncate.
        codes: float32 [n, K], NaN where a code was drawn from the seed; None for a model without codes.
        endpoint: The address that answered, of several the last one.
        attempts: How many requests were sent, repeated ones included.
        timings: How long it took.
        weights: sha256 of the generator's weights, as the model's card has it.
        noise: "philox" where NumPy's Philox made the noise from the seeds, because the model does not.
        pngs: The n files as the server made them, where PNG was asked for.
        value_range: Of floats: which are black and white.

    >>> drawn = Generation(array=np.zeros((2, 8, 8, 1), np.uint8), seeds=np.arange(2), model="m", version=1)
    >>> drawn
    Generation(model='m', version=1, n=2)
    >>> [record.seed for record in drawn.records()]
    [0, 1]
    """

    array: _Decoded = _Decoded()
    seeds: Array | None = None
    model: str
    version: int
    classes: Array | None = None
    truncation: Array | None = None
    codes: Array | None = None
    endpoint: str = ""
    attempts: int = 1
    timings: Timings = Timings(0.0)
    weights: str | None = None
    noise: str | None = None
    pngs: tuple[bytes, ...] | None = None
    value_range: tuple[float, float] = _VALUE_RANGE

    def __repr__(self) -> str:
        return f"Generation(model={self.model!r}, version={self.version}, n={len(self)})"

    def __len__(self) -> int:
        return len(self.array) if self.pngs is None else len(self.pngs)

    def pil(self) -> "list[Image]":
        """The images as Pillow images of mode L, RGB or RGBA.

        Raises:
            MissingExtra: Pillow is not installed.
        """
        return [images.to_pil(image) for image in self._pixels()]

    def png(self) -> list[bytes]:
        """The images as PNG files, each with its record in it.

        Raises:
            MissingExtra: Pillow is not installed, and the server did not make the files.
            ModelError: The server made them, and they are no PNG files.
        """
        return list(self._files())

    def save(self, directory: str | Path) -> list[Path]:
        """Writes every image as `seed0007.png` or the like into the directory, which is made if need be.

        The name of a chosen class's image tells its number: `seed0007-class3.png`; an image from a caller's
        noise is called by its place: `noise0007.png`. A file appears when it is complete. It holds the record
        that `gannet show` prints.

        Returns:
            The paths, in the order of the images.

        Raises:
            UsageError: Two different images have the same name, and none was written; or the directory cannot
                be written.
            MissingExtra: As for `png`, like ModelError.
        """
        names = file_names(self.seeds, self.classes, len(self))
        _require_own(names, self.records())
        paths = map(Path(directory).joinpath, names)
        return [write_bytes(path, file) for path, file in zip(paths, self._files(), strict=True)]

    def grid(self, columns: int | None = None, padding: int = 2) -> Array:
        """One picture of all images, uint8 [H, W, C]; see `gannet_client.images.grid`."""
        return images.grid(self._pixels(), columns, padding)

    def records(self) -> list[Record]:
        """What each image follows from."""
        return [self._record(place) for place in range(len(self))]

    def _repr_png_(self) -> bytes | None:
        """How a notebook shows it: a grid of the first images."""
        if not len(self):
            return None
        try:
            return images.encode_png(images.grid(self._pixels()[:_SHOWN]))
        except MissingExtra:
            return None

    def _pixels(self) -> Array:
        return images.to_pixels(self.array, self.value_range)

    def _files(self) -> Iterator[bytes]:
        files = self.pngs if self.pngs is not None else map(images.encode_png, self._pixels())
        for place, file in enumerate(files):
            try:
                written = self._record(place).written_to(file)
            except ValueError as error:
                raise ModelError(f"model {self.model!r} version {self.version}: {error}") from None
            yield written

    def _record(self, place: int) -> Record:
        low, high = map(float, self.value_range)
        return Record(
            model=self.model,
            version=self.version,
            weights=self.weights,
            seed=None if self.seeds is None else int(self.seeds[place]),
            label=None if self.classes is None else int(self.classes[place]),
            truncation=None if self.truncation is None else _shortest(self.truncation[place]),
            codes=None if self.codes is None else tuple(map(_code, self.codes[place])),
            noise=self.noise,
            value_range=None if (low, high) == _VALUE_RANGE else (low, high),
        )


def file_names(
    seeds: Sequence[int] | Array | None,
    classes: Sequence[int] | Array | None = None,
    count: int | None = None,
) -> list[str]:
    """The names of the files of images, by seed and, where one was chosen, class; of noise, by place.

    >>> file_names([7, -12, 123456])
    ['seed0007.png', 'seed-0012.png', 'seed123456.png']
    >>> file_names([7, 7], [3, -1])
    ['seed0007-class3.png', 'seed0007.png']
    >>> file_names(None, count=2)
    ['noise0000.png', 'noise0001.png']
    """
    stems = [f"noise{place:04d}" for place in range(count or 0)] if seeds is None else list(map(_stem, seeds))
    labels = [contract.ANY_CLASS] * len(stems) if classes is None else classes
    return [stem + _chosen(int(label)) + ".png" for stem, label in zip(stems, labels, strict=True)]


def _require_own(names: Sequence[str], records: Sequence[Record]) -> None:
    """Refuses different images of one name; a seed that is repeated draws the same image again."""
    found: dict[str, Record] = {}
    for name, record in zip(names, records, strict=True):
        if found.setdefault(name, record) != record:
            raise UsageError(
                f"two different images would be the file {name!r}, which tells seed and class alone; draw "
                "the images of a seed in calls of their own, and save each call into a directory of its own"
            )


def _stem(seed: int) -> str:
    return f"seed{'-' if seed < 0 else ''}{abs(int(seed)):04d}"


def _chosen(label: int) -> str:
    return "" if label == contract.ANY_CLASS else f"-class{label}"


def _code(value: np.float32) -> float | None:
    return None if np.isnan(value) else _shortest(value)


def _shortest(value: np.float32) -> float:
    """The value as the shortest number of digits that means the same float32: 0.7, not 0.699999988."""
    return float(str(np.float32(value)))
