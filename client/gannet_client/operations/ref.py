"""Which model is meant."""

from dataclasses import dataclass, replace

from gannet_client import wire
from gannet_client.checks import check_int64, check_name, check_text
from gannet_client.errors import GannetError, UsageError


@dataclass(frozen=True)
class ModelRef:
    """Which model is asked: a version by number, by label, or (neither) the highest that is available."""

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.version is not None and self.label is not None:
            raise UsageError("pass either version or version_label, not both")
        if self.version is not None:
            check_int64("version", self.version)
        if self.label is not None:
            check_text("version_label", self.label)

    def __str__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        return f"model {self.name!r}{version}"

    def at(self, version: int) -> "ModelRef":
        """The same model in this version."""
        return replace(self, version=version, label=None)

    def tell(self, error: GannetError) -> GannetError:
        """The error, which now knows the model that it is about."""
        error.model = self.name
        if error.version is None:
            error.version = self.version
        return error

    def spec(self, signature: str = "") -> wire.ModelSpec:
        """The message that selects this model."""
        spec = wire.ModelSpec(name=self.name, signature_name=check_text("signature", signature))
        if self.version is not None:
            spec.version.value = self.version
        elif self.label is not None:
            spec.version_label = self.label
        return spec
