"""Every error that Gannet raises on purpose.

::

    GannetError                     exit code 1
    ├── UsageError (ValueError)               2    an argument, option, file or configuration is wrong
    │   └── MissingExtra (ImportError)             the feature needs libraries that are not installed
    ├── ServerUnreachable (ConnectionError)   3    nothing answers at the address
    ├── ModelError                            4    the model, version or signature is not what was asked for
    ├── RequestRejected                       1    the server refused or failed the request
    └── RequestTimeout (TimeoutError)       124    no answer within the deadline

The message is one line: what was expected, what was received, what to do.
"""

from typing import ClassVar


class GannetError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


class UsageError(GannetError, ValueError):
    """The caller passed something that cannot be used; nothing was done."""

    exit_code = 2


class MissingExtra(UsageError, ImportError):
    """A feature was asked for whose libraries are not installed; the message says which extra brings them."""


class ServerUnreachable(GannetError, ConnectionError):
    """No server answers at the address, or it went away during the call."""

    exit_code = 3


class ModelError(GannetError):
    """The model, its version or its signature is missing, broken or not what the caller needs."""

    exit_code = 4


class RequestRejected(GannetError):
    """The server answered the request with an error that is not about the model's existence."""


class RequestTimeout(GannetError, TimeoutError):
    """No complete answer arrived within the deadline."""

    exit_code = 124
