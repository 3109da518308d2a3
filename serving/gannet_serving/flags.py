"""The flags of `gannet-model-server`: those of TensorFlow Serving, read as it reads them."""

import difflib
import logging
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click

from gannet_client.errors import UsageError
from gannet_serving.options import ServerOptions

IGNORED = {
    "enable_profiler": True,
    "flush_filesystem_caches": True,
    "mixed_precision": "",
    "num_tflite_interpreters_per_pool": 1,
    "num_tflite_pools": 1,
    "per_process_gpu_memory_fraction": 0.0,
    "platform_config_file": "",
    "prefer_tflite_model": False,
    "remove_unused_fields_from_bundle_metagraph": True,
    "rest_api_enable_cors_support": False,
    "skip_initialize_tpu": False,
    "tensorflow_session_config_file": "",
    "thread_pool_factory_config_file": "",
    "use_alts_credentials": False,
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
}
"""Flags that TensorFlow Serving has and that cannot mean anything here, with their defaults."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_log = logging.getLogger(__name__)


class Command(click.Command):
    """A command that names the nearest flag to one that it does not know."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = [name for option in self.params for name in option.opts]
            [nearest] = difflib.get_close_matches(error.option_name, known, 1, cutoff=0)
            message = f"unknown flag {error.option_name}; the nearest known one is {nearest}"
            raise click.UsageError(message, ctx) from None


class _Boolean(click.ParamType):
    """`true`, `1`, `false` or `0`; the flag alone is `true`."""

    name = "bool"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        if isinstance(value, bool):
            return value
        if value.lower() not in _BOOLEANS:
            self.fail(f"expected true, false, 1 or 0, received {value!r}", param, ctx)
        return _BOOLEANS[value.lower()]


def flags() -> list[click.Parameter]:
    """A flag for each option, and the hidden ones that have no effect."""
    shown = [_flag(option) for option in fields(ServerOptions)]
    return [*shown, *(_make(name, default, hidden=True) for name, default in IGNORED.items())]


def read(values: dict[str, Any]) -> ServerOptions:
    """The options that the values of all flags say.

    Raises:
        UsageError: They contradict each other, a number is out of its range, or a file cannot be read.
    """
    known = {option.name: values[option.name] for option in fields(ServerOptions)}
    for name in [name for name in known if name.endswith("_file") and known[name]]:
        _require_readable(name, known[name])
    ports = {name: known[name] or None for name in ("port", "rest_api_port")}
    return ServerOptions(**{**known, **ports})


def warn_of_ignored(context: click.Context) -> None:
    """Logs a line for each flag that was given and has no effect."""
    for name in sorted(IGNORED):
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        default = IGNORED.get(name, "" if name.endswith("_file") else False)
        if given and context.params[name] != default:
            _log.warning("--%s has no effect in this server", name)


def _require_readable(name: str, path: str) -> None:
    try:
        Path(path).open("rb").close()
    except OSError as error:
        raise UsageError(f"cannot read --{name} {path}: {error.strerror}") from None


def _flag(option: "Field[Any]") -> click.Option:
    return _make(option.name, option.metadata["flag"], help=option.metadata["help"])


def _make(name: str, default: Any, **settings: Any) -> click.Option:
    if isinstance(default, bool):
        return click.Option(
            [f"--{name}"],
            type=_Boolean(),
            is_flag=False,
            flag_value="true",
            default=default,
            metavar="[true|false]",
            show_default=True,
            **settings,
        )
    is_shown = default != ""
    return click.Option([f"--{name}"], type=type(default), default=default, show_default=is_shown, **settings)
