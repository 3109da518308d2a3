"""SavedModels that Gannet did not export: which of them draw images from noise, and how."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gannet_client import contract
from gannet_client.codec import Array
from gannet_client.conditions import Conditions
from gannet_client.errors import ModelError
from gannet_client.images import encode_png, to_pixels
from gannet_client.operations.messages import Answer
from gannet_client.operations.models import MAX_LATENT_DIM
from gannet_client.operations.rows import Format, Rows
from gannet_client.schema import Signature, TensorSpec

_CHANNELS: Final = (1, 3, 4)
_FLOATS: Final = ("float16", "float32", "float64")
_BYTES: Final = {"uint8": 2, "float16": 3, "bfloat16": 3, "float32": 4, "float64": 8}
"""What an image may consist of, and in how many bytes at most an answer has it: small ones may be varints."""


@dataclass(frozen=True)
class Foreign:
    """A version without a card, whose one signature takes noise and answers images.

    There is no noise of the server's here: that of a seed is NumPy's, from a Philox generator with the seed
    as its key.
    """

    version: int
    what: str
    signature: str
    input: str
    dtype: str
    latent_dim: int
    output: str
    image_bytes: int
    value_range: tuple[float, float]
    conditions: Conditions = field(default_factory=Conditions)
    weights: str = ""
    noise_name: str | None = "philox"

    @classmethod
    def of_signatures(
        cls, signatures: Mapping[str, Signature], version: int, what: str, value_range: tuple[float, float]
    ) -> "Foreign":
        """Chooses the signature: `serving_default`, or the only one.

        Raises:
            ModelError: It does not go from noise to images.
        """
        only = next(iter(signatures)) if len(signatures) == 1 else contract.SERVING_DEFAULT
        name = contract.SERVING_DEFAULT if contract.SERVING_DEFAULT in signatures else only
        signature = signatures.get(name, Signature({}, {}))
        inputs = [(key, spec) for key, spec in signature.inputs.items() if _width(spec)]
        outputs = [(key, spec) for key, spec in signature.outputs.items() if _is_image(spec)]
        if len(signature.inputs) != 1 or len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"{what} was not exported by Gannet, and its signature {name!r} is not of one float input "
                f"[?, Z] and one output [?, H, W, 1, 3 or 4]; it takes {_listed(signature.inputs)} and gives "
                f"{_listed(signature.outputs)}",
                advice=f"call it with Client.predict(inputs, signature={name!r})",
            )
        (key, spec), (output, image) = inputs[0], outputs[0]
        value_range = (0.0, 255.0) if image.dtype == "uint8" else value_range
        return cls(version, what, name, key, spec.dtype, _width(spec), output, _row_bytes(image), value_range)

    def noise(self, seeds: Array) -> Array:
        """Standard normal, float32 [n, Z]; row i follows from seed i alone."""
        rows = np.empty((len(seeds), self.latent_dim), np.float32)
        for row, seed in zip(rows, seeds.tolist(), strict=True):
            generator = np.random.Generator(np.random.Philox(key=seed & 0xFFFF_FFFF_FFFF_FFFF))
            generator.standard_normal(dtype=np.float32, out=row)
        return rows

    def row_bytes(self, format: Format) -> int:  # noqa: A002
        """The same for each format: the client makes them all of the one output."""
        return self.image_bytes

    def request(self, rows: Rows, format: Format) -> tuple[str, dict[str, Array]]:  # noqa: A002
        """See `Model.request`."""
        assert rows.noise is not None
        return self.signature, {self.input: rows.noise.astype(self.dtype, copy=False)}

    def images(self, answer: Answer, format: Format) -> Array:  # noqa: A002
        """See `Model.images`; a float image is scaled from `value_range` to pixels."""
        images = answer.outputs.get(self.output)
        if (
            images is None
            or images.ndim != 4
            or len(images) != answer.rows
            or images.shape[3] not in _CHANNELS
        ):
            shape = None if images is None else list(images.shape)
            told = (
                f"{self.what} at {answer.endpoint}: expected the output {self.output!r} of signature "
                f"{self.signature!r} as images [{answer.rows}, H, W, C]; received {shape}"
            )
            raise answer.tell(ModelError(told, advice="call Client.predict()"))
        if format == "float":
            return images.astype(np.float32)
        pixels = to_pixels(images, self.value_range)
        return pixels if format == "pixels" else _to_png(pixels)


def _to_png(pixels: Array) -> Array:
    files = np.empty(len(pixels), object)
    files[:] = [encode_png(image) for image in pixels]
    return files


def _width(spec: TensorSpec) -> int:
    """The width of an input that may be noise; 0 of any other."""
    if spec.dtype not in _FLOATS or spec.shape is None or len(spec.shape) != 2 or spec.shape[0] is not None:
        return 0
    width = spec.shape[1] or 0
    return width if width <= MAX_LATENT_DIM else 0


def _is_image(spec: TensorSpec) -> bool:
    return (
        spec.dtype in _BYTES
        and spec.shape is not None
        and len(spec.shape) == 4
        and spec.shape[3] in _CHANNELS
    )


def _row_bytes(spec: TensorSpec) -> int:
    """The most bytes of one image; 0 where its sides are not known before."""
    sides = (spec.shape or ())[1:]
    return math.prod(side or 0 for side in sides) * _BYTES[spec.dtype]


def _listed(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} {spec}" for name, spec in specs.items()) or "nothing"
