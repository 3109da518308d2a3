"""Where a setting comes from: its flag, then `GANNET_*`, then the TOML file, then the default."""

import json
import tomllib
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gannet_client.errors import UsageError
from gannet_training.config import TrainConfig

Command = Callable[..., Any]
POSITIONAL = ("model", "data", "channels", "options", "class_names")
"""Fields that are no options of their own: named otherwise on the command line, or known by the data."""


def setting_options(command: Command) -> Command:
    """Give a Click command one option per field of :class:`TrainConfig`, documented by the field.

    An option that was not given is None, so that the TOML file or the default may stand in for it.
    """
    for name, field in reversed(TrainConfig.model_fields.items()):
        if name not in POSITIONAL:
            default = "the data set's" if field.is_required() else field.default
            shown = f"  [default: {default}]" if default not in (None, "") else ""
            command = click.option(
                f"--{name.replace('_', '-')}",
                name,
                type=_plain_type(field.annotation),
                envvar=f"GANNET_{name.upper()}",
                help=f"{field.description}{shown}",
            )(command)
    return command


def _plain_type(annotation: Any) -> Any:
    """The type behind `X | None` and `Literal`."""
    if isinstance(annotation, types.UnionType):
        (annotation,) = (kind for kind in typing.get_args(annotation) if kind is not types.NoneType)
    if typing.get_origin(annotation) is typing.Literal:
        return click.Choice(typing.get_args(annotation))
    return annotation


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file, or a run's `config.json`: one key per field of :class:`TrainConfig`.

    Raises:
        UsageError: the file cannot be read or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"expected an object of settings, received {text:.40}")
        return found
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the configuration {path}: {reason}") from error


def merge_settings(file: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Put what was given as a flag over what stands in a file, each of a factory's options by itself.

    Example:
        >>> file = {"steps": 10, "seed": 1, "options": {"depth": 3, "wide": True}}
        >>> merge_settings(file, {"steps": 20, "seed": None, "options": {"depth": 4}})
        {'steps': 20, 'seed': 1, 'options': {'depth': 4, 'wide': True}}
    """
    given = {name: value for name, value in flags.items() if value is not None}
    options = file.get("options", {})
    # What is no table is refused later, as any wrong value is.
    given["options"] = options | given["options"] if isinstance(options, dict) else options
    return {**file, **given}


def read_options(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Read `--set k=v`: the value as TOML has it, else as text.

    Raises:
        UsageError: an assignment without a name or a sign.

    Example:
        >>> read_options(("depth=3", "rate=0.5", "kind=residual", "wide=true"))
        {'depth': 3, 'rate': 0.5, 'kind': 'residual', 'wide': True}
    """
    options = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign or not name.isidentifier():
            raise UsageError(f"expected --set NAME=VALUE, received --set {assignment}")
        options[name] = _toml_value(value)
    return options


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
