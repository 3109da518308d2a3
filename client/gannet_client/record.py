"""What an image's file tells of it: by what it was drawn, and how to draw it again."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from gannet_client import contract, png
from gannet_client.errors import UsageError

_KEYWORD: Final = "gannet"
_FORMAT: Final = 1


@dataclass(frozen=True)
class Record:
    """All that an image follows from; two images of the same record are the same.

    Attributes:
        model: The name of the model.
        version: The version that drew it.
        weights: sha256 of the generator's weights, from the model's card; None where it has none.
        seed: Its seed; None for an image from a caller's noise.
        label: Its class by number; -1 where the class was drawn from the seed, None for a model without.
        truncation: 1 is off; None for a model that does not truncate.
        codes: The continuous codes, None in place of one that was drawn; None for a model without.
        noise: How noise was made of the seed where the model does not draw it: "philox"; else None.
        value_range: Which floats of the model were made black and white; None for -1 and 1.
    """

    model: str
    version: int
    weights: str | None = None
    seed: int | None = None
    label: int | None = None
    truncation: float | None = None
    codes: tuple[float | None, ...] | None = None
    noise: str | None = None
    value_range: tuple[float, float] | None = None

    def written_to(self, file: bytes) -> bytes:
        """The PNG file with this record in it.

        Raises:
            ValueError: It is no PNG file.
        """
        return png.add_text(file, _KEYWORD, json.dumps(self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        """What `json` writes, and `gannet show --json`; what is None is left out."""
        values = asdict(self)
        values["class"] = values.pop("label")
        return {"format": _FORMAT, **{name: value for name, value in values.items() if value is not None}}

    def command(self) -> str | None:
        """The command that draws the image again; None for an image from a caller's noise.

        >>> Record("digits", 3, seed=7, label=2).command()
        'gannet generate --model digits --version 3 --seeds=7 --class=+2 --out .'
        """
        if self.seed is None:
            return None
        words = ["gannet", "generate", "--model", self.model, "--version", str(self.version)]
        words.append(f"--seeds={self.seed}")
        if self.label not in (None, contract.ANY_CLASS):
            words.append(f"--class=+{self.label}")
        if self.truncation not in (None, contract.NO_TRUNCATION):
            words.append(f"--truncation={self.truncation!r}")
        if any(code is not None for code in self.codes or ()):
            words.append(
                "--codes=" + ",".join("nan" if code is None else repr(code) for code in self.codes or ())
            )
        if self.value_range is not None:
            words.append(f"--value-range={','.join(map(repr, self.value_range))}")
        return shlex.join([*words, "--out", "."])

    @classmethod
    def of_file(cls, path: str | Path) -> Self:
        """The record in an image's file.

        Raises:
            UsageError: The file cannot be read, is no PNG file, or has no record that this release reads.
        """
        try:
            with open(path, "rb") as file:
                text = png.read_text(file, _KEYWORD)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot read the image {str(path)!r}: {reason}") from error
        if text is None:
            raise UsageError(f"{str(path)!r} has no record of how it was drawn; gannet generate writes one")
        try:
            return cls._of_dict(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UsageError(
                f"the record of {str(path)!r} cannot be read; expected one of format {_FORMAT}, "
                f"received {text!r:.100}"
            ) from None

    @classmethod
    def _of_dict(cls, values: Mapping[str, Any]) -> Self:
        if values["format"] != _FORMAT:
            raise ValueError
        return cls(
            model=_of_type(values["model"], str),
            version=_of_type(values["version"], int),
            weights=_of_type(values.get("weights"), str, type(None)),
            seed=_of_type(values.get("seed"), int, type(None)),
            label=_of_type(values.get("class"), int, type(None)),
            truncation=_of_type(values.get("truncation"), float, type(None)),
            codes=_codes(_of_type(values.get("codes"), list, type(None))),
            noise=_of_type(values.get("noise"), str, type(None)),
            value_range=_range(_of_type(values.get("value_range"), list, type(None))),
        )


def _of_type(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise ValueError
    return value


def _codes(values: list[Any] | None) -> tuple[float | None, ...] | None:
    return None if values is None else tuple(_of_type(value, float, type(None)) for value in values)


def _range(values: list[Any] | None) -> tuple[float, float] | None:
    if values is None:
        return None
    low, high = values
    return _of_type(low, float), _of_type(high, float)
