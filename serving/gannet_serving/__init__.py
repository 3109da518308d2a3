"""Serves models as TensorFlow Serving does."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gannet_serving.local_server import LocalServer
    from gannet_serving.options import ServerOptions

__all__ = ["LocalServer", "ServerOptions"]

# Loaded on first use (PEP 562): a command's --help does not pay for gRPC.
_LAZY = {"LocalServer": "local_server", "ServerOptions": "options"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
