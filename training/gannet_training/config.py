"""What a run learns, and how: the configuration that `config.json` keeps."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gannet_client.errors import UsageError


class TrainConfig(BaseModel):
    """The resolved configuration of a run: with it, the run can be made again.

    Where it runs (devices, replicas) is no part of it: the result does not depend on that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(description="Preset of networks, or a factory of your own, package.module:factory.")
    data: str = Field(description="Data set, for example digits.")
    image_size: int = Field(ge=1, le=4096, description="Side of the square images, in pixels.")
    channels: int = Field(ge=1, le=64, description="1 (grey) or 3 (RGB).")
    steps: int = Field(default=10_000, ge=1, le=2**40, description="Generator updates in all.")
    batch_size: int = Field(default=64, ge=1, le=2**20, description="Images per step, over all replicas.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Of weights, data order and noise.")
    latent_dim: int = Field(default=100, ge=1, le=2**16, description="Width of the noise.")
    width: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Feature maps next to the image; deeper layers have more.",
    )
    initializer: str = Field(default="normal", description="Of all kernels; normal is N(0, 0.02).")
    optimizer: str = Field(default="adam", description="Of both networks.")
    learning_rate: float = Field(default=2e-4, gt=0, description="Of the optimizers.")
    discriminator_learning_rate: float | None = Field(
        default=None, gt=0, description="Of the discriminator's optimizer, if it has its own."
    )
    beta_1: float = Field(default=0.5, ge=0, lt=1, description="Of Adam and AdamW.")
    beta_2: float = Field(default=0.999, ge=0, lt=1, description="Of Adam and AdamW.")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="Of SGD and RMSprop.")
    nesterov: bool = Field(default=False, description="Nesterov's momentum, of SGD.")
    rho: float = Field(default=0.9, ge=0, lt=1, description="Decay of RMSprop's squares.")
    weight_decay: float = Field(default=0.004, ge=0, description="Of AdamW.")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="One-sided: a real image's target is 1 minus this."
    )
    objective: str = Field(default="non_saturating", description="Losses of both networks.")
    discriminator_steps: int = Field(
        default=1, ge=1, description="Discriminator updates per generator update, each on a batch of its own."
    )
    gradient_penalty: float = Field(
        default=0.0, ge=0, description="Weight of the slope between real and drawn images; 10 in WGAN-GP."
    )
    r1: float = Field(default=0.0, ge=0, description="Weight gamma of the slope at real images.")
    r1_interval: int = Field(default=16, ge=1, description="Steps from one R1 penalty to the next.")
    weight_clip: float = Field(
        default=0.0, ge=0, description="Bound of the critic's weights; 0.01 in WGAN, 0 is none."
    )
    augment: str = Field(
        default="",
        description="Differentiable augmentations: color, translation, cutout, separated by commas.",
    )
    instance_noise: float = Field(
        default=0.0, ge=0, description="Standard deviation of noise on all that the discriminator sees."
    )
    micro_batches: int = Field(
        default=1, ge=1, description="Parts into which a replica cuts its batch to save memory."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Of the computation; weights, losses and images stay float32."
    )
    steps_per_execution: int = Field(
        default=1, ge=1, description="Steps that run without a return to Python."
    )
    jit_compile: bool = Field(
        default=False, description="Compile the step with XLA, for one GPU; many times slower on a CPU."
    )
    init_from: str = Field(
        default="", description="Run directory or .keras file whose weights to start from."
    )
    best_metric: str = Field(
        default="sliced_wasserstein",
        description="Measure of an epoch by which the best checkpoint is kept: a name in metrics.jsonl, or a "
        "function of yours from drawn images to a number, package.module:function.",
    )
    best_mode: Literal["min", "max"] = Field(default="min", description="Which of its values is the best.")
    options: dict[str, bool | int | float | str] = Field(
        default={}, description="Arguments for a factory of your own."
    )
    ema_half_life: float = Field(
        default=10_000.0, ge=0, description="Of the generator's moving average, in images; 0 is none."
    )
    class_names: tuple[str, ...] = Field(
        default=(), description="Of a conditional model, by label; an unconditional one has none."
    )

    @model_validator(mode="after")
    def _whole_executions(self) -> Self:
        if self.steps % self.steps_per_execution:
            raise ValueError(
                f"steps ({self.steps}) is no multiple of steps_per_execution ({self.steps_per_execution})"
            )
        return self

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
            raise UsageError("; ".join(_problem(item) for item in error.errors())) from None

    def differences(self, other: "TrainConfig") -> list[str]:
        """List the fields in which another configuration differs, as "field a there, b here"."""
        mine, theirs = self.model_dump(), other.model_dump()
        return [
            f"{name} {mine[name]} there, {theirs[name]} here" for name in mine if mine[name] != theirs[name]
        ]


def _problem(item: Any) -> str:
    if not item["loc"]:
        return str(item["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, item['loc']))}: {item['msg']}, received {item['input']!r}"
