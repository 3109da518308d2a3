"""Turns a generator into a version directory that TensorFlow Serving serves."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazy: a module of the same name would hide the function. It imports TensorFlow when it is called.
from gannet_export.noise import noise

if TYPE_CHECKING:
    from gannet_export.conditions import classes_of_seeds
    from gannet_export.exporting import export
    from gannet_export.gate import ExportRefused
    from gannet_export.servable import to_pixels

__all__ = ["ExportRefused", "classes_of_seeds", "export", "noise", "to_pixels"]

# Loaded on first use (PEP 562): what reads and removes versions does not pay for TensorFlow.
_LAZY = {
    "ExportRefused": "gate",
    "classes_of_seeds": "conditions",
    "export": "exporting",
    "to_pixels": "servable",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
