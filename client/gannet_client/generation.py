"""What `Client.generate` returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gannet_client import images
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
    """

    array: Array
    seeds: Array
    model: str
    version: int

    def __repr__(self) -> str:
        return f"Generation(model={self.model!r}, version={self.version}, shape={list(self.array.shape)})"

    def __len__(self) -> int:
        return len(self.array)

    def grid(self, columns: int | None = None, padding: int = 2) -> Array:
        """One picture of all images, uint8 [H, W, C]; see `gannet_client.images.grid`."""
        return images.grid(self.array, columns, padding)

    def save(self, directory: str | Path) -> list[Path]:
        """Writes every image as `seed0007.png` or the like into the directory, which is made if need be.

        Returns:
            The paths, in the order of the images.

        Raises:
            UsageError: The directory cannot be written.
            MissingExtra: Pillow is not installed.
        """
        return [
            images.save_png(image, Path(directory) / file_name(seed))
            for image, seed in zip(self.array, self.seeds.tolist(), strict=True)
        ]

    def pil(self) -> "list[Image]":
        """The images as Pillow images of mode L, RGB or RGBA.

        Raises:
            MissingExtra: Pillow is not installed.
        """
        return [images.to_pil(image) for image in self.array]


def file_name(seed: int) -> str:
    """The name of the file of one seed's image.

    >>> file_name(7), file_name(-12), file_name(123456)
    ('seed0007.png', 'seed-0012.png', 'seed123456.png')
    """
    return f"seed{'-' if seed < 0 else ''}{abs(seed):04d}.png"
