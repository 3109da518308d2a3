"""What the base install leaves out, and how to get it."""

from importlib.util import find_spec
from types import TracebackType
from typing import Final

from gannet_client.errors import MissingExtra

_MODULES: Final = {
    "PIL": "cli",
    "click": "cli",
    "matplotlib": "cli",
    "rich": "cli",
    "keras": "export",
    "tensorflow": "export",
    "pydantic": "train",
    "scipy": "train",
    "sklearn": "train",
    "tensorboard": "train",
    "cryptography": "serve",
    "grpc_health": "serve",
    "grpc_reflection": "serve",
    "prometheus_client": "serve",
    "starlette": "serve",
    "tensorflow_serving": "serve",
    "uvicorn": "serve",
}
_PACKAGES: Final = {"gannet_training": "train", "gannet_export": "export", "gannet_serving": "serve"}


def missing_extra(error: ModuleNotFoundError) -> MissingExtra | None:
    """What to tell the user about a module that was not found; None if no extra would bring it.

    The extra named is that of the package which needed the module, so that one installation is enough.
    """
    module = error.name
    if module not in _MODULES:  # also a missing submodule: the library is there, and something else is wrong
        return None
    extra = _extra_of_caller(error.__traceback__) or _MODULES[module]
    return _missing(module, extra)


def require(extra: str, *modules: str) -> None:
    """Notices that top-level modules are missing before any work is done, and imports none of them.

    Args:
        extra: The extra that brings them.
        modules: Their names.

    Raises:
        MissingExtra: One is not installed.

    >>> require("cli", "json")
    """
    for module in modules:
        if find_spec(module) is None:
            raise _missing(module, extra)


def _missing(module: str, extra: str) -> MissingExtra:
    return MissingExtra(f"this needs {module}, which is missing; pip install 'gannet-toolkit[{extra}]'")


def _extra_of_caller(traceback: TracebackType | None) -> str | None:
    while traceback is not None:
        package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in _PACKAGES:
            return _PACKAGES[package]
        traceback = traceback.tb_next
    return None
