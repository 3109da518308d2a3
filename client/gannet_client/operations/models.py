"""How one version of a model draws images: a model that Gannet exported, or a foreign SavedModel."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from gannet_client import contract
from gannet_client.checks import check_range
from gannet_client.codec import Array
from gannet_client.conditions import Conditions
from gannet_client.errors import EXPORT_AGAIN, ModelError, UsageError
from gannet_client.operations.messages import Answer
from gannet_client.operations.rows import Format, Rows, Wish

_OUTPUTS: Final = {"pixels": contract.PIXELS, "png": contract.PNG, "float": contract.IMAGES}
_OF_SEEDS: Final = {"pixels": contract.SEEDED_PIXELS, "png": contract.SEEDED_PNG}
_OF_NOISE: Final = {"pixels": contract.PIXELS, "png": contract.PNG, "float": contract.SERVING_DEFAULT}
_DTYPES: Final = {"pixels": np.dtype(np.uint8), "png": np.dtype(object), "float": np.dtype(np.float32)}


MAX_LATENT_DIM: Final = 1 << 20
_MAX_SIDE: Final = 1 << 16


class Model(Protocol):
    """What drawing needs to know of a version."""

    @property
    def version(self) -> int:
        """Its number."""
        ...

    @property
    def what(self) -> str:
        """The model and the version, as messages call them."""
        ...

    @property
    def latent_dim(self) -> int:
        """The width Z of its noise."""
        ...

    @property
    def conditions(self) -> Conditions:
        """Its conditions."""
        ...

    @property
    def weights(self) -> str:
        """A checksum of its weights; empty where none is known."""
        ...

    @property
    def noise_name(self) -> str | None:
        """What the noise of the client is called; None where the server makes it."""
        ...

    @property
    def value_range(self) -> tuple[float, float]:
        """Which floats are black and white in its images."""
        ...

    def noise(self, seeds: Array) -> Array | None:
        """The noise of the seeds; None: the server makes it."""
        ...

    def row_bytes(self, format: Format) -> int:  # noqa: A002
        """The most bytes of one image in an answer; 0: not known."""
        ...

    def request(self, rows: Rows, format: Format) -> tuple[str, dict[str, Array]]:  # noqa: A002
        """The signature that draws the rows, and its inputs."""
        ...

    def images(self, answer: Answer, format: Format) -> Array:  # noqa: A002
        """The images of an answer: [rows, H, W, C], or an object array [rows] of PNG files."""
        ...


@dataclass(frozen=True)
class Exported:
    """A version that `gannet export` wrote, as its card tells."""

    version: int
    what: str
    latent_dim: int
    image_shape: tuple[int, ...]
    conditions: Conditions
    weights: str
    noise_name: str | None = None
    value_range: tuple[float, float] = (-1.0, 1.0)

    @classmethod
    def of_card(cls, card: Mapping[str, Any], version: int, what: str) -> "Exported":
        """Reads what is needed from a model card.

        Raises:
            ModelError: The card lacks something, or names a condition that this release does not know.
        """
        try:
            latent_dim = check_range("latent_dim", card["latent_dim"], 1, MAX_LATENT_DIM)
            height, width, channels = card["image_shape"]
            image_shape = tuple(
                check_range("image_shape", side, 1, _MAX_SIDE) for side in (height, width, channels)
            )
            conditions = Conditions.of_card(dict(card), what)
        except (KeyError, TypeError, ValueError) as error:
            told = f"{what}: the model card cannot be used ({error!r:.150})"
            raise ModelError(told, advice=EXPORT_AGAIN) from error
        return cls(version, what, latent_dim, image_shape, conditions, str(card.get("weights_sha256", "")))

    def noise(self, seeds: Array) -> Array | None:
        """None: the one noise is the server's."""
        return None

    def row_bytes(self, format: Format) -> int:  # noqa: A002
        """Four bytes for each float; two for each byte, as which TensorFlow Serving may list it."""
        return math.prod(self.image_shape) * (4 if format == "float" else 2)

    def request(self, rows: Rows, format: Format) -> tuple[str, dict[str, Array]]:  # noqa: A002
        """See `Model.request`."""
        if rows.noise is not None:
            return _OF_NOISE[format], {contract.NOISE: rows.noise, **rows.conditions}
        assert rows.seeds is not None
        return _OF_SEEDS[format], {contract.SEEDS: rows.seeds, **rows.conditions}

    def images(self, answer: Answer, format: Format) -> Array:  # noqa: A002
        """See `Model.images`; another dtype or shape than the card's is a ModelError."""
        name, dtype = _OUTPUTS[format], _DTYPES[format]
        shape = (answer.rows,) if format == "png" else (answer.rows, *self.image_shape)
        images = answer.outputs.get(name)
        if images is None or images.dtype != dtype or images.shape != shape:
            received = {name: f"{array.dtype} {list(array.shape)}" for name, array in answer.outputs.items()}
            told = (
                f"{self.what} at {answer.endpoint}: expected the output {name!r} as {dtype} {list(shape)}; "
                f"received {received}"
            )
            raise answer.tell(ModelError(told, advice=EXPORT_AGAIN))
        return images


def check_rows(model: Model, wish: Wish) -> Rows:
    """The rows that a wish means for this model.

    Args:
        model: The model.
        wish: The wish.

    Raises:
        UsageError: The model does not take this.
    """
    if wish.noise is not None and wish.noise.shape[1] != model.latent_dim:
        raise UsageError(
            f"{model.what} takes noise [n, {model.latent_dim}]; received {list(wish.noise.shape)}"
        )
    conditions = model.conditions.resolve(
        len(wish), model.what, classes=wish.classes, truncation=wish.truncation, codes=wish.codes
    )
    # Drawn through noise, an open condition would follow from the noise and not from the seed.
    settled = wish.along or (wish.format == "float" and wish.seeds is not None)
    option = model.conditions.open(conditions) if settled else None
    if option is not None:
        raise UsageError(
            f"{model.what} draws {option} from seeds for pixels and png alone; choose the {option}"
        )
    return Rows(wish.seeds, wish.noise, conditions)
