"""What `gannet generate` is to draw, and what of it is there already."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from gannet_client.conditions import Classes, one_or_each, resolve_labels
from gannet_client.errors import UsageError
from gannet_client.record import Record

if TYPE_CHECKING:
    from gannet_client.client import Client
    from gannet_client.generation import Generation


@dataclass(frozen=True)
class Order:
    """Images to draw.

    Attributes:
        seeds: One for each image.
        classes: None, one for all images, or one for each.
        truncation: Of all images; None: the model's default.
        codes: Of all images; None: drawn from the seeds.
        version: The version to ask; None: the highest.
        version_label: In place of it, its label.
    """

    seeds: Sequence[int]
    classes: Sequence[str] = ()
    truncation: float | None = None
    codes: Sequence[float] | None = None
    version: int | None = None
    version_label: str | None = None

    def __post_init__(self) -> None:
        if len(self.classes) > 1 and len(self.classes) != len(self.seeds):
            raise UsageError(
                f"expected one class for all {len(self.seeds)} images or one for each; "
                f"received {len(self.classes)}"
            )

    def at(self, places: Sequence[int]) -> Self:
        """The images at these places alone.

        >>> Order([5, 6, 7]).at([0, 2]).seeds
        [5, 7]
        """
        classes = self.classes if len(self.classes) < 2 else [self.classes[place] for place in places]
        return replace(self, seeds=[self.seeds[place] for place in places], classes=classes)

    def shard(self, part: int, parts: int) -> Self:
        """Part number `part`, from 1 on, of so many parts of nearly the same size."""
        return self.at(range(part - 1, len(self.seeds), parts))

    def draw(self, client: "Client") -> "Iterator[Generation]":
        """The images in pieces, at least one, all of one version."""
        if not self.seeds:
            return iter([client.generate(seeds=[], **self._options())])
        return client.stream(seeds=self.seeds, pin=True, **self._options())

    def records(self, client: "Client") -> list[Record]:
        """What each image follows from. The first one is drawn to see it: the server chooses the version."""
        first = self.at([0])
        found = client.generate(seeds=first.seeds, **first._options()).records()[0]
        labels: Sequence[int | None] = [found.label] * len(self.seeds)
        if found.label is not None and len(self.classes) > 1:
            names = client.card(version=found.version)["classes"]
            labels = resolve_labels(tuple(self.classes), names, len(self.seeds), found.model).tolist()  # type: ignore[union-attr]
        return [
            replace(found, seed=seed, label=label) for seed, label in zip(self.seeds, labels, strict=True)
        ]

    def _options(self) -> dict[str, Any]:
        classes: Classes | None = one_or_each(self.classes)
        return {
            "classes": classes,
            "truncation": self.truncation,
            "codes": self.codes,
            "version": self.version,
            "version_label": self.version_label,
        }


def parse_shard(text: str) -> tuple[int, int]:
    """Reads which part of how many.

    >>> parse_shard("3/8")
    (3, 8)
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"shard {text!r} cannot be read; expected a form like 3/8, the third of eight parts")
    return int(match[1]), int(match[2])
