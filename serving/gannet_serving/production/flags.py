"""Further flags of TensorFlow Serving, checked: it says nothing of most that is wrong with them."""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from gannet_client.errors import UsageError
from gannet_serving.flags import IGNORED
from gannet_serving.options import ServerOptions

Value = bool | int | float | str

_OURS = frozenset(("host", "log_format", "access_log"))
_DEFAULTS: Mapping[str, Any] = {
    **{option.name: option.metadata["flag"] for option in fields(ServerOptions) if option.name not in _OURS},
    **IGNORED,
}
"""All flags, each with the embedded server's default, which has the flag's type."""

_REFUSED = {
    "model_name": "the models stand in tables [models.NAME]",
    "model_base_path": "the models stand in tables [models.NAME]",
    "enable_per_model_batching_parameters": "the server would ignore the table [batching]",
    "platform_config_file": "the server would ignore warm-up, batching and the threads of TensorFlow",
    "use_alts_credentials": "it excludes the table [tls]",
}
"""Flags by which TensorFlow Serving would silently ignore what the file says elsewhere."""

_NEEDS = {
    "batching_parameters_file": "enable_batching",
    "monitoring_config_file": "rest_api_port",
    "num_request_iterations_for_warmup": "enable_model_warmup",
    "num_tflite_interpreters_per_pool": "prefer_tflite_model",
    "num_tflite_pools": "prefer_tflite_model",
    "rest_api_enable_cors_support": "rest_api_port",
    "rest_api_num_threads": "rest_api_port",
    "rest_api_timeout_in_ms": "rest_api_port",
}
"""Flags that mean nothing unless another one is on."""

_CHOICES = {"mixed_precision": ("bfloat16",)}
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_MANY = 2**31 - 1


def require_sensible(further: Mapping[str, Value], written: Mapping[str, Value]) -> None:
    """Checks the flags that a file gives as they are.

    Args:
        further: These, by name.
        written: Those that follow from the rest of the file.

    Raises:
        UsageError: The server does not know one, cannot read its value, or would ignore
            or refuse it or another.
    """
    flags = {**written, **further}
    for name, value in further.items():
        _require_known(name)
        if name in written:
            raise UsageError(f"flags.{name}: already follows from a table of its own; set it there")
        if name in _REFUSED:
            raise UsageError(f"flags.{name}: cannot be combined with this file: {_REFUSED[name]}")
        _require_value(name, value)
        if name in _NEEDS and not flags.get(_NEEDS[name]):
            raise UsageError(f"flags.{name}: means nothing without {_NEEDS[name]}")
    _require_unity(flags)


def _require_known(name: str) -> None:
    if name not in _DEFAULTS:
        [nearest] = get_close_matches(name, _DEFAULTS, 1, cutoff=0)
        raise UsageError(
            f"flags.{name}: TensorFlow Serving has no such flag, and would start without it; the nearest is "
            f"{nearest}"
        )


def _require_value(name: str, value: Value) -> None:
    kind = type(_DEFAULTS[name])
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UsageError(f"flags.{name}: expected {_EXPECTED[kind]}, received {value!r}")
    if isinstance(value, str) and not value.isprintable():
        raise UsageError(f"flags.{name}: expected one line, received {value!r}")
    if value not in _CHOICES.get(name, (value,)):
        raise UsageError(f"flags.{name}: expected {' or '.join(_CHOICES[name])}, received {value!r}")
    if isinstance(value, int | float) and not 0 <= value <= _MANY:
        raise UsageError(f"flags.{name}: expected a number from 0 to {_MANY}, received {value}")


def _require_unity(flags: Mapping[str, Value]) -> None:
    """Refuses what the embedded server refuses, which has the ranges and contradictions of them all."""
    options: dict[str, Any] = {name: value for name, value in flags.items() if name not in IGNORED}
    try:
        ServerOptions(**options)
    except UsageError as error:
        raise UsageError(f"flags: {error}") from None
