"""From what a caller wants to images of one version."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from gannet_client import contract
from gannet_client.codec import Array
from gannet_client.errors import EXPORT_AGAIN, ModelError
from gannet_client.generation import Generation, Timings
from gannet_client.operations.attempts import Deadline
from gannet_client.operations.cutting import Cutting
from gannet_client.operations.effects import Operation
from gannet_client.operations.messages import Answer
from gannet_client.operations.models import Model, check_rows
from gannet_client.operations.ref import ModelRef
from gannet_client.operations.rows import Rows, Wish
from gannet_client.operations.versions import OtherVersion

_FLOAT_BYTES: Final = 4


def draw(
    cutting: Cutting, ref: ModelRef, model: Model, wish: Wish, deadline: Deadline
) -> Operation[Generation]:
    """Draws what is wished, every image of the version of `model`.

    Raises:
        OtherVersion: Another version answered, where `ref` leaves that open.
        GannetError: As for `Client.generate`.
    """
    started = time.monotonic()
    rows = check_rows(model, wish)
    sent: Sequence[Answer] = ()
    if wish.seeds is not None:
        noise = model.noise(wish.seeds)
        if noise is None and wish.format == "float":
            noise, sent = yield from latents(cutting, ref, model, wish.seeds, deadline)
        rows = rows if noise is None else rows.through(noise)
    signature, inputs = model.request(rows, wish.format)
    answers = yield from cutting.predict(
        ref, model.version, signature, inputs, deadline, row_bytes=model.row_bytes(wish.format)
    )
    _require_version(answers, ref, model)
    images = _joined((model.images(answer, wish.format) for answer in answers), len(rows))
    return _generation(model, ref, rows, images, [*sent, *answers], started)


def latents(
    cutting: Cutting, ref: ModelRef, model: Model, seeds: Array, deadline: Deadline
) -> Operation[tuple[Array, Sequence[Answer]]]:
    """The noise of seeds, float32 [n, Z], and the answers that brought it; errors as for `draw`."""
    noise = model.noise(seeds)
    if noise is not None:
        return noise, ()
    row_bytes = model.latent_dim * _FLOAT_BYTES
    answers = yield from cutting.predict(
        ref, model.version, contract.LATENTS, {contract.SEEDS: seeds}, deadline, row_bytes=row_bytes
    )
    _require_version(answers, ref, model)
    return _joined((_noise(model, answer) for answer in answers), len(seeds)), answers


def _noise(model: Model, answer: Answer) -> Array:
    noise = answer.outputs.get(contract.NOISE)
    shape = (answer.rows, model.latent_dim)
    if noise is None or noise.dtype != np.float32 or noise.shape != shape:
        received = None if noise is None else f"{noise.dtype} {list(noise.shape)}"
        told = (
            f"{model.what} at {answer.endpoint}: expected latents float32 {list(shape)}; received {received}"
        )
        raise answer.tell(ModelError(told, advice=EXPORT_AGAIN))
    return noise


def _require_version(answers: Sequence[Answer], ref: ModelRef, model: Model) -> None:
    for answer in answers:
        if answer.version == model.version:
            continue
        if ref.version is None:
            raise OtherVersion
        told = f"{ref} was asked at {answer.endpoint}, and version {answer.version} answered"
        raise answer.tell(ModelError(told, advice="look for what stands before the server"))


def _joined(parts: Iterable[Array], rows: int) -> Array:
    """The rows of all parts as one array, a copy; the one row that stands for none is cut off."""
    return np.concatenate(list(parts))[:rows]


def _generation(
    model: Model, ref: ModelRef, rows: Rows, images: Array, answers: Sequence[Answer], started: float
) -> Generation:
    files = images.dtype == object
    return Generation(
        array=None if files else images,
        seeds=rows.seeds,
        model=ref.name,
        version=model.version,
        classes=rows.conditions.get(contract.LABELS),
        truncation=rows.conditions.get(contract.TRUNCATION),
        codes=rows.conditions.get(contract.CODES),
        endpoint=answers[-1].endpoint,
        attempts=sum(answer.attempts for answer in answers),
        timings=Timings(time.monotonic() - started, tuple(answer.seconds for answer in answers)),
        weights=model.weights or None,
        noise=model.noise_name if rows.seeds is not None else None,
        pngs=tuple(images.tolist()) if files else None,
        value_range=model.value_range,
    )
