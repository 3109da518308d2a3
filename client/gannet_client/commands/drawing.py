"""What `gannet generate` does: images from a client into files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gannet_client import images
from gannet_client.commands.npz import write_npz
from gannet_client.commands.order import Order
from gannet_client.errors import UsageError
from gannet_client.generation import Generation, file_names
from gannet_client.record import Record

if TYPE_CHECKING:
    from gannet_client.client import Client


@dataclass(frozen=True)
class Outcome:
    """What was drawn and written.

    Attributes:
        model: The name of the model.
        version: The version that drew the images.
        seeds: One for each image.
        classes: One for each image, -1 where it was drawn from the seed; None for a model without classes.
        shape: Of an image: [H, W, C].
        out: The directory or NPZ file.
        files: The files of the images, in their order; the NPZ file alone.
        kept: How many of them were there already.
        grid: The file of all images.
    """

    model: str
    version: int
    seeds: Sequence[int]
    classes: Sequence[int] | None
    shape: Sequence[int]
    out: Path | None
    files: Sequence[Path]
    kept: int
    grid: Path | None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        values = asdict(self)
        values["shape"] = [len(self.seeds), *self.shape]
        values["files"] = [str(file) for file in self.files]
        return values | {name: path and str(path) for name, path in (("out", self.out), ("grid", self.grid))}

    def as_text(self) -> str:
        """What is printed for people."""
        height, width, _ = self.shape
        lines = [f"{self.model}, version {self.version}: {len(self.seeds)} images of {width}x{height}"]
        if self.out is not None and self.files == [self.out]:
            lines.append(f"wrote {self.out}")
        elif self.out is not None:
            there = f", {self.kept} were there" if self.kept else ""
            lines.append(f"wrote {len(set(self.files)) - self.kept} files to {self.out}{there}")
        if self.grid is not None:
            lines.append(f"wrote {self.grid}")
        return "\n".join(lines)


def draw(
    client: "Client", order: Order, out: Path | None, grid: Path | None, advance: Callable[[int], None]
) -> Outcome:
    """Draws what is not there yet and writes it.

    Args:
        client: Asks the servers.
        order: What to draw.
        out: A directory for one PNG file of each image, or an NPZ file.
        grid: One PNG file of all images.
        advance: Called with the number of images that are done.

    Raises:
        GannetError: As for `Client.generate`, or a file cannot be written.
    """
    if out is not None and out.suffix.lower() != ".npz":
        return _into_directory(client, order, out, grid, advance)
    pieces: Iterable[Generation] = _counted(order.draw(client), advance)
    pieces = pieces if grid is None else list(pieces)
    ...
