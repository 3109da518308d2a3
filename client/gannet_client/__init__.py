"""Ask a TensorFlow Serving for images, without TensorFlow.

>>> from gannet_client import Client
>>> with Client("127.0.0.1:8500", model="digits") as client:  # doctest: +SKIP
...     images = client.generate(16, seed=7)
>>> images  # doctest: +SKIP
Generation(model='digits', version=1, n=16)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from gannet_client.errors import (
    AccessDenied,
    AnswerTooLarge,
    GannetError,
    MissingExtra,
    ModelError,
    ModelNotFound,
    RequestRejected,
    RequestTimeout,
    ServerOverloaded,
    ServerUnreachable,
    TooManyRows,
    UsageError,
)

if TYPE_CHECKING:
    from gannet_client.async_client import AsyncClient
    from gannet_client.client import Client
    from gannet_client.generation import Generation
    from gannet_client.schema import Signature, TensorSpec, VersionStatus
    from gannet_client.settings import NO_RETRY, Retry, Tls

__version__ = "0.1.0"

__all__ = [
    "NO_RETRY",
    "AccessDenied",
    "AnswerTooLarge",
    "AsyncClient",
    "Client",
    "GannetError",
    "Generation",
    "MissingExtra",
    "ModelError",
    "ModelNotFound",
    "RequestRejected",
    "RequestTimeout",
    "Retry",
    "ServerOverloaded",
    "ServerUnreachable",
    "Signature",
    "TensorSpec",
    "Tls",
    "TooManyRows",
    "UsageError",
    "VersionStatus",
    "__version__",
]

# Loaded on first use (PEP 562): whoever needs `gannet_client.contract` alone does not pay for gRPC.
_LAZY: Final = {
    "NO_RETRY": "gannet_client.settings",
    "AsyncClient": "gannet_client.async_client",
    "Client": "gannet_client.client",
    "Generation": "gannet_client.generation",
    "Retry": "gannet_client.settings",
    "Signature": "gannet_client.schema",
    "TensorSpec": "gannet_client.schema",
    "Tls": "gannet_client.settings",
    "VersionStatus": "gannet_client.schema",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
