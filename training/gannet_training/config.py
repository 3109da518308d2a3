"""What a run learns, and how: the configuration that `config.json` keeps."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gannet_client.errors import UsageError


class TrainConfig(BaseModel):
    """The resolved configuration of a run: with it, the run can be made again.

    Where it runs (devices, replicas) is no part of it: the result does not depend on that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(description="Preset of networks, for example dcgan.")
    data: str = Field(description="Data set, for example digits.")
    image_size: int = Field(ge=1, description="Side of the square images, in pixels.")
    channels: int = Field(ge=1, description="1 (grey) or 3 (RGB).")
    steps: int = Field(ge=1, description="Generator updates in all.")
    batch_size: int = Field(default=64, ge=1, description="Images per step, over all replicas.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Of weights, data order and noise.")
    latent_dim: int = Field(default=100, ge=1, description="Width of the noise.")
    width: int = Field(default=64, ge=1, description="Feature maps of the widest-sided hidden layer.")
    learning_rate: float = Field(default=2e-4, gt=0, description="Of Adam, for both networks.")
    beta_1: float = Field(default=0.5, ge=0, lt=1, description="Of Adam, for both networks.")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="One-sided: a real image's target is 1 minus this."
    )
    ema_half_life: float = Field(
        default=10_000.0, ge=0, description="Of the generator's moving average, in images; 0 is none."
    )

    @classmethod
    def parse(cls, values: dict[str, Any]) -> "TrainConfig":
        """Validate values.

        Raises:
            UsageError: naming every field that is wrong, with what was received.

        Example:
            >>> given = {"model": "dcgan", "data": "digits", "image_size": 16, "channels": 1}
            >>> TrainConfig.parse({**given, "steps": 10}).batch_size
            64
        """
        try:
            return cls(**values)
        except ValidationError as error:
            problems = (
                f"{'.'.join(map(str, item['loc']))}: {item['msg']}, received {item['input']!r}"
                for item in error.errors()
            )
            raise UsageError("; ".join(problems)) from None

    def differences(self, other: "TrainConfig") -> list[str]:
        """List the fields in which another configuration differs, as "field a there, b here"."""
        mine, theirs = self.model_dump(), other.model_dump()
        return [
            f"{name} {mine[name]} there, {theirs[name]} here" for name in mine if mine[name] != theirs[name]
        ]
