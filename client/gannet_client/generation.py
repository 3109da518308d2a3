"""What `Client.generate` returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gannet_client import contract, images
from gannet_client.codec import Array

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False, repr=False)
class Generation:
    """Images with all that is needed to draw them again.

    Attributes:
        array: uint8 [n, H, W, C]; image i was drawn from seed i.
        seeds: int64 [n].
        model: The name of the model.
        version: The version that drew every one of these images.
        classes: int64 [n], the class of each image by number, -1 where it was drawn from the seed; None for a
            model without classes.
    """

    array: Array
    seeds: Array
    model: str
    version: int
    classes: Array | None = None

    def __repr__(self) -> str:
        return f"Generation(model={self.model!r}, version={self.version}, shape={list(self.array.shape)})"

    def __len__(self) -> int:
        return len(self.array)

    def grid(self, columns: int | None = None, padding: int = 2) -> Array:
        """One picture of all images, uint8 [H, W, C]; see `gannet_client.images.grid`."""
        return images.grid(self.array, columns, padding)

    def save(self, directory: str | Path) -> list[Path]:
        """Writes every image as `seed0007.png` or the like into the directory, which is made if need be.

        The name of a chosen class's image tells its number: `seed0007-class3.png`.

        Returns:
            The paths, in the order of the images.

        Raises:
            UsageError: The directory cannot be written.
            MissingExtra: Pillow is not installed.
        """
        return [
            images.save_png(image, Path(directory) / name)
            for image, name in zip(self.array, file_names(self.seeds, self.classes), strict=True)
        ]

    def pil(self) -> "list[Image]":
        """The images as Pillow images of mode L, RGB or RGBA.

        Raises:
            MissingExtra: Pillow is not installed.
        """
        return [images.to_pil(image) for image in self.array]


def file_names(seeds: Sequence[int] | Array, classes: Sequence[int] | Array | None = None) -> list[str]:
    """The names of the files of images, by seed and, where one was chosen, class.

    >>> file_names([7, -12, 123456])
    ['seed0007.png', 'seed-0012.png', 'seed123456.png']
    >>> file_names([7, 7], [3, -1])
    ['seed0007-class3.png', 'seed0007.png']
    """
    labels = [contract.ANY_CLASS] * len(seeds) if classes is None else classes
    return [_file_name(int(seed), int(label)) for seed, label in zip(seeds, labels, strict=True)]


def _file_name(seed: int, label: int) -> str:
    chosen = "" if label == contract.ANY_CLASS else f"-class{label}"
    return f"seed{'-' if seed < 0 else ''}{abs(seed):04d}{chosen}.png"
