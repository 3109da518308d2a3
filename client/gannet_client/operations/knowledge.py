"""What a client has learned of the servers' models; shared by its copies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gannet_client.operations.models import Model
from gannet_client.operations.ref import ModelRef
from gannet_client.schema import Signature


@dataclass(frozen=True)
class Knowledge:
    """What was answered before; each entry may be out of date, and is then asked for again.

    Attributes:
        models: How the version draws that answered last, by how it was asked for, and by number.
        signatures: Likewise, its number and its signatures.
        rows: The most rows of one request that a batching server takes, by the model's name.
        held: Which version a pinned client has found, by how it was asked for.
    """

    models: dict[ModelRef, Model] = field(default_factory=dict)
    signatures: dict[ModelRef, tuple[int, Mapping[str, Signature]]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    held: dict[ModelRef, ModelRef] = field(default_factory=dict)
