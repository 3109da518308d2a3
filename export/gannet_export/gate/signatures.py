"""Whether the signatures of an export are those of the contract."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from gannet_client import contract
from gannet_export.gate.verdict import Finding
from gannet_export.golden import Golden


def signature_findings(found: dict[str, Any], golden: Golden) -> Iterator[Finding]:
    """Compare the signatures of an export with the contract.

    Args:
        found: SignatureDef messages by name.
        golden: tells the shapes, and which conditions there are.
    """
    noise, shape = golden.given[contract.NOISE], list(golden.by_noise.shape[1:])
    given = {alias: _kind(values.dtype, values.shape[1:]) for alias, values in golden.given.items()}
    outputs = {
        contract.SERVING_DEFAULT: (contract.IMAGES, _kind("float32", shape)),
        contract.PIXELS: (contract.PIXELS, _kind("uint8", shape)),
        contract.PNG: (contract.PNG, _kind("string", [])),
        contract.LATENTS: (contract.NOISE, _kind("float32", noise.shape[1:])),
        contract.SEEDED_PIXELS: (contract.PIXELS, _kind("uint8", shape)),
        contract.SEEDED_PNG: (contract.PNG, _kind("string", [])),
        contract.CARD: (contract.CARD, _kind("string", [])),
    }
    conditions = [name for name in contract.CONDITIONS if name in given]
    for name in contract.SIGNATURES:
        where = f"'{name}'"
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            yield Finding("signatures", where, False, "a signature of this name", f"only {known}")
            continue
        alias, kind = outputs[name]
        expected = _told({key: given[key] for key in contract.inputs(name, conditions)}, {alias: kind})
        received = _told(_infos(found[name].inputs), _infos(found[name].outputs))
        yield Finding("signatures", where, expected == received, expected, received)


def _kind(dtype: Any, shape: Any) -> str:
    name = dtype if dtype == "string" else np.dtype(dtype).name
    return f"{name} {['B', *shape]}".replace("'", "")


def _infos(tensors: Any) -> dict[str, str]:
    kinds = {}
    for alias, info in tensors.items():
        sizes = [dim.size for dim in info.tensor_shape.dim]
        known = ["B" if size == -1 and place == 0 else size for place, size in enumerate(sizes)]
        shape = "of any rank" if info.tensor_shape.unknown_rank else f"{known}".replace("'", "")
        kinds[alias] = f"{tf.as_dtype(info.dtype).name} {shape}"
    return kinds


def _told(inputs: dict[str, str], outputs: dict[str, str]) -> str:
    sides = (", ".join(f"{alias} {kinds[alias]}" for alias in sorted(kinds)) for kinds in (inputs, outputs))
    return " -> ".join(sides)
