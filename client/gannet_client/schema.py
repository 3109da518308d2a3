"""What a server says about a model: the state of its versions and the signatures of one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from gannet_client import contract, wire
from gannet_client.codec import Array, dtype_name

AVAILABLE: Final = "AVAILABLE"

_INIT_OP: Final = "__saved_model_init_op"  # every SavedModel carries it; it is no way to call the model


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model, as the server sees it.

    Attributes:
        version: Its number.
        state: UNKNOWN, START, LOADING, AVAILABLE, UNLOADING or END.
        code: Why it ended, in gRPC's names; OK if nothing went wrong.
        message: The server's words on that; empty if nothing went wrong.
    """

    version: int
    state: str
    code: str = "OK"
    message: str = ""

    def __str__(self) -> str:
        trouble = "" if self.code == "OK" else f" ({self.code}: {self.message})"
        return f"version {self.version} {self.state}{trouble}"


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature.

    Attributes:
        dtype: NumPy's name of it; `bytes` for strings.
        shape: None stands for any size; None in place of the whole shape for any rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        sides = "..." if self.shape is None else ", ".join("?" if s is None else str(s) for s in self.shape)
        return f"{self.dtype} [{sides}]"

    def fits(self, array: Array) -> bool:
        """Whether an array has this dtype and shape.

        >>> import numpy as np
        >>> TensorSpec("float32", (None, 2)).fits(np.zeros((5, 2), "float32"))
        True
        """
        is_text = array.dtype.kind in "OSU"
        if is_text != (self.dtype == "bytes") or not (is_text or array.dtype.name == self.dtype):
            return False
        return self.shape is None or (
            len(self.shape) == array.ndim
            and all(side in (None, size) for side, size in zip(self.shape, array.shape, strict=True))
        )


@dataclass(frozen=True)
class Signature:
    """One way to call a model: the names of its inputs and outputs and what they hold."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def read_status(response: wire.GetModelStatusResponse) -> list[VersionStatus]:
    """The versions in the order of the server, which is from the highest number down."""
    return [
        VersionStatus(
            version=entry.version,
            state=_enum_name(entry, "state"),
            code=_enum_name(entry.status, "error_code"),
            message=" ".join(entry.status.error_message.split()),
        )
        for entry in response.model_version_status
    ]


def read_signatures(response: wire.GetModelMetadataResponse) -> dict[str, Signature]:
    """The signatures by name."""
    signatures = wire.SignatureDefMap()
    response.metadata[contract.SIGNATURE_DEF].Unpack(signatures)
    return {
        name: Signature(inputs=_specs(signature.inputs), outputs=_specs(signature.outputs))
        for name, signature in sorted(signatures.signature_def.items())
        if name != _INIT_OP
    }


def _specs(tensors: Mapping[str, wire.TensorInfo]) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(dtype=dtype_name(info.dtype), shape=_shape(info.tensor_shape))
        for name, info in sorted(tensors.items())
    }


def _shape(shape: wire.TensorShapeProto) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)


def _enum_name(message: Message, field: str) -> str:
    number = getattr(message, field)
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    value = enum.values_by_number.get(number) if enum else None
    return value.name if value else str(number)
