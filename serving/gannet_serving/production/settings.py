"""`serving.toml`: what a TensorFlow Serving is to do, checked before it sees any of it."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from gannet_client.contract import GRPC_PORT, REST_PORT
from gannet_client.errors import UsageError
from gannet_serving.config import VersionPolicy
from gannet_serving.production.image import DEFAULT_IMAGE

_MANY = 2**31 - 1
"""The most that any number can be: the server keeps many of them in 32 bits."""

Port = Annotated[int, Field(ge=1, le=65535)]
Version = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[int, Field(ge=1, le=_MANY)]
Whole = Annotated[int, Field(ge=0, le=_MANY)]
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_BUCKET = re.compile(r"gs://[^/\s]+/\S")
_MAX_FILE_BYTES = 1 << 20


def _absolute(path: str) -> str:
    if not (path.startswith("/") and path.isprintable()):
        raise ValueError(f"expected an absolute path on one line, received {path!r}")
    return path


Directory = Annotated[str, AfterValidator(_absolute)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Latest(_Table):
    """The policy that serves so many of the highest versions."""

    latest: Positive = Field(description="How many of the highest versions.")


class Model(_Table):
    """One model; its name is that of the table."""

    path: str = Field(
        default="", description="Below the models directory, or gs://BUCKET/...; by default the name."
    )
    versions: Literal["latest", "all"] | Latest | list[Version] = Field(
        default="latest", description='"latest", { latest = 2 }, "all", or a list of numbers.'
    )
    labels: dict[str, Version] = Field(default={}, description="Versions by label.")

    @property
    def policy(self) -> VersionPolicy:
        """Which of the versions that are there a server loads."""
        match self.versions:
            case "latest":
                return VersionPolicy()
            case "all":
                return VersionPolicy(most=None)
            case Latest(latest=count):
                return VersionPolicy(most=count)
            case numbers:
                return VersionPolicy(most=None, only=frozenset(numbers))

    @field_validator("path")
    @classmethod
    def _stay_below(cls, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/") or ("://" in path and not _BUCKET.match(path)):
            raise ValueError(
                f"expected a path below the models directory, or gs://BUCKET/..., received {path!r}; "
                "TensorFlow Serving's image reads no other places"
            )
        return path

    @field_validator("versions", mode="before")
    @classmethod
    def _check_versions(cls, versions: Any) -> Any:
        if not isinstance(versions, dict | list) and versions not in ("latest", "all"):
            raise ValueError(
                f'expected "latest", {{ latest = 2 }}, "all", or a list of numbers, received {versions!r}'
            )
        return versions

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: dict[str, int]) -> dict[str, int]:
        return _named(labels, "label")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.versions, list):
            if not self.versions:
                raise ValueError("versions: expected at least one, received []: nothing would be served")
            for label, number in self.labels.items():
                if number not in self.versions:
                    raise ValueError(f"label {label}: version {number} is not among versions {self.versions}")
        return self


class Server(_Table):
    """The ports, the threads, and how versions are looked for."""

    port: Port = Field(default=GRPC_PORT, description="Of gRPC.")
    rest_port: Port | None = Field(default=REST_PORT, description="Of REST and metrics; false: none.")
    max_threads: Positive = Field(
        default=256,
        description="Calls at once, beyond which RESOURCE_EXHAUSTED is answered; one that waits to be merged "
        "with others counts.",
    )
    load_threads: Whole = Field(default=2, description="Versions that load at once.")
    load_retries: Whole = Field(default=2, description="How often a failed version is tried again.")
    load_retry_seconds: float = Field(default=10.0, ge=0, le=_MANY, description="Between two such tries.")
    poll_seconds: Whole = Field(default=1, description="Between two looks for versions; 0: look once.")
    config_poll_seconds: Whole = Field(
        default=0, description="Between two readings of models.config; 0: read once."
    )
    warm_up: bool = Field(default=True, description="Play a version's warm-up records before it serves.")
    health: bool = Field(default=True, description="Answer grpc.health.v1.")
    tensor_content: bool = Field(
        default=True, description="Answer tensors as bytes, not as numbers one by one."
    )

    @field_validator("rest_port", mode="before")
    @classmethod
    def _switch_off(cls, value: Any) -> Any:
        return None if value is False else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rest_port == self.port:
            raise ValueError(f"rest_port and port are both {self.port}: the server would leave REST out")
        if self.config_poll_seconds and not self.poll_seconds:
            raise ValueError(
                "config_poll_seconds needs poll_seconds: the server would wait for ever for the versions "
                "of a model that is added"
            )
        return self


class Batching(_Table):
    """How requests are merged."""

    max_batch_size: Positive = Field(default=64, description="The most rows of a request and of a batch.")
    timeout_micros: Whole = Field(default=2_000, description="How long the first request waits for others.")
    max_enqueued_batches: Positive = Field(default=100, description="Beyond which UNAVAILABLE is answered.")
    threads: Positive | None = Field(default=None, description="Batches at once; by default one per core.")
    allowed_sizes: list[int] | None = Field(
        default=None, description="What batches are padded to; by default the powers of two."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        sizes = self.sizes
        if sizes[0] < 1 or any(b <= a for a, b in pairwise(sizes)) or sizes[-1] != self.max_batch_size:
            raise ValueError(
                f"allowed_sizes: expected rising numbers up to max_batch_size, {self.max_batch_size}, "
                f"received {self.allowed_sizes}"
            )
        return self

    @field_validator("allowed_sizes")
    @classmethod
    def _not_empty(cls, sizes: list[int] | None) -> list[int] | None:
        if sizes == []:
            raise ValueError("expected at least one size; leave the key out for the powers of two")
        return sizes

    @property
    def sizes(self) -> list[int]:
        """The sizes to which batches are padded.

        >>> Batching(max_batch_size=48).sizes
        [1, 2, 4, 8, 16, 32, 48]
        """
        if self.allowed_sizes is not None:
            return self.allowed_sizes
        largest = self.max_batch_size
        return [*(2**power for power in range(largest.bit_length()) if 2**power < largest), largest]


class Tls(_Table):
    """TLS of the gRPC port; REST has none."""

    key: str = Field(description="File of the server's private key, PEM.")
    certificate: str = Field(description="File of the server's certificate and those above it, PEM.")
    client_ca: str = Field(
        default="",
        description="File of the certificates that sign clients' certificates, PEM; asks for them.",
    )


class Monitoring(_Table):
    """Metrics for Prometheus, on the REST port."""

    enabled: bool = Field(default=True, description="Whether there are any.")
    path: str = Field(
        default="/monitoring/prometheus/metrics",
        pattern=r"^/[\w./-]+$",
        description="Where on the REST port.",
    )


class ServingSettings(_Table):
    """All of `serving.toml`."""

    image: str = Field(
        default=DEFAULT_IMAGE, description="Of the server; GANNET_SERVING_IMAGE goes before it."
    )
    models_dir: str = Field(default="models", description="Here; relative to the file's own directory.")
    mounted_at: Directory = Field(
        default="/models", description="Where the server sees the models directory."
    )
    config_dir: Directory = Field(default="/config", description="Where the server sees the rendered files.")
    models: dict[str, Model] = Field(min_length=1, description="By name; a table each.")
    server: Server = Server()
    batching: Batching | None = Field(default=Batching(), description="false: none.")
    tls: Tls | None = None
    monitoring: Monitoring = Monitoring()
    flags: dict[str, bool | int | float | str] = Field(
        default={}, description="Further flags of the server, as they are."
    )

    @field_validator("batching", mode="before")
    @classmethod
    def _switch_off(cls, value: Any) -> Any:
        return None if value is False else value

    @field_validator("models")
    @classmethod
    def _check_names(cls, models: dict[str, Model]) -> dict[str, Model]:
        return _named(models, "name")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.monitoring.enabled and self.server.rest_port is None:
            raise ValueError("monitoring.enabled needs server.rest_port: without REST there are no metrics")
        return self


def read_settings(path: Path) -> ServingSettings:
    """The settings in a TOML file.

    Raises:
        UsageError: It cannot be read, or one of them is wrong; all that are wrong are told.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
        if len(text) > _MAX_FILE_BYTES:
            raise UsageError(f"{path}: expected settings, received more than {_MAX_FILE_BYTES} bytes")
        return ServingSettings(**tomllib.loads(text.decode()))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        problems = "; ".join(_problem(item) for item in error.errors())
        raise UsageError(f"{path}: {problems}") from None
    except ValueError as error:
        raise UsageError(f"{path}: expected TOML, received: {error}") from None


def require_name(name: str, what: str) -> None:
    """Checks a name, which stands in paths of REST and of files.

    Raises:
        ValueError: It is another text.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what} {name!r}: expected letters, digits, '_', '-' and '.', which is not first")


def _named(table: dict[str, Any], what: str) -> dict[str, Any]:
    for name in table:
        require_name(name, what)
    return table


def _problem(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{place}: {message}" if place else message
    if item["type"] == "missing":
        return f"{place}: expected, and not there"
    if item["type"] == "extra_forbidden":
        return f"{place}: no such setting"
    return f"{place}: {message}, received {item['input']!r}"
