"""What images are drawn from: one row for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from gannet_client.codec import Array
from gannet_client.conditions import Classes, Codes, Truncation
from gannet_client.errors import UsageError
from gannet_client.seeds import resolve_seeds

Format: TypeAlias = Literal["pixels", "png", "float"]
"""uint8 images, PNG files, or float32 images in the model's own range."""
FORMATS: Final = get_args(Format)


@dataclass(frozen=True)
class Wish:
    """What a caller wants drawn, before it is known what the model takes.

    Attributes:
        seeds: int64 [n]; None if `noise` is given.
        noise: float32 [n, Z], finite.
        classes: See `conditions.Classes`.
        truncation: See `conditions.Truncation`.
        codes: See `conditions.Codes`.
        format: What an image comes as.
        along: Whether the images belong together, so that no condition may be left to chance.
    """

    seeds: Array | None = None
    noise: Array | None = None
    classes: Classes | None = None
    truncation: Truncation | None = None
    codes: Codes | None = None
    format: Format = "pixels"
    along: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"format must be one of {', '.join(FORMATS)}; received {self.format!r}")

    def __len__(self) -> int:
        given = self.noise if self.seeds is None else self.seeds
        return 0 if given is None else len(given)


def wish_for(
    n: int | None,
    seed: int | None,
    seeds: Sequence[int] | Array | None,
    noise: ArrayLike | None,
    format: Format,  # noqa: A002
    **options: Any,
) -> Wish:
    """What the arguments of `generate` mean.

    Raises:
        UsageError: They contradict each other, or are out of range.
    """
    if noise is None:
        return Wish(resolve_seeds(n, seed, seeds), format=format, **options)
    if n is not None or seed is not None or seeds is not None:
        raise UsageError("pass either noise or seeds, not both")
    return Wish(noise=as_noise(noise), format=format, **options)


@dataclass(frozen=True)
class Rows:
    """The inputs of images that a model can draw.

    Attributes:
        seeds: int64 [n]; None where noise came from the caller.
        noise: float32 [n, Z]; None where the server makes it from the seeds.
        conditions: The model's own, filled in, by the name of the input.
    """

    seeds: Array | None
    noise: Array | None
    conditions: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        given = self.noise if self.seeds is None else self.seeds
        return 0 if given is None else len(given)

    def through(self, noise: Array) -> "Rows":
        """The same rows, drawn through noise."""
        return replace(self, noise=noise)


def as_noise(noise: ArrayLike) -> Array:
    """The noise that a caller gives: float32 [n, Z], finite.

    Raises:
        UsageError: It is something else.

    >>> as_noise([[0.5, -1.0]]).dtype
    dtype('float32')
    """
    try:
        rows = np.asarray(noise)
        with np.errstate(over="ignore"):  # what is too large is refused below
            floats = rows.astype(np.float32) if rows.dtype.kind in "fiu" else np.empty(0, np.float32)
    except (TypeError, ValueError):
        floats = np.empty(0, np.float32)
    if floats.ndim != 2:
        raise UsageError(f"noise must be numbers of shape [n, Z]; received {_shape_of(noise)}")
    if not np.isfinite(floats).all():
        row = int(np.flatnonzero(~np.isfinite(floats).all(axis=1))[0])
        raise UsageError(f"noise must be finite; row {row} is not")
    return floats


def _shape_of(value: ArrayLike) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return f"{value!r:.80}"
