"""Every error that Gannet raises on purpose.

::

    GannetError                     exit code 1
    ├── UsageError (ValueError)               2    an argument, option, file or configuration is wrong
    │   └── MissingExtra (ImportError)             the feature needs libraries that are not installed
    ├── ServerUnreachable (ConnectionError)   3    nothing answers at the address
    ├── ModelError                            4    the model, version or signature is not what was asked for
    │   └── ModelNotFound                          no such model, version or label is served
    ├── RequestRejected                       1    the server refused or failed the request
    │   ├── AccessDenied (PermissionError)         the server wants another token or certificate
    │   ├── AnswerTooLarge                         the answer has more bytes than the client accepts
    │   ├── ServerOverloaded                       its queue or its threads are full
    │   └── TooManyRows                            the server takes fewer rows in one request
    └── RequestTimeout (TimeoutError)       124    no answer within the deadline

The message is one line: what was expected, what was received, what to do.
"""

from typing import ClassVar, Final

EXPORT_AGAIN: Final = "export the model again"
INSTALL_OTHER: Final = "install the release of gannet-toolkit that exported the model"


class GannetError(Exception):
    """Root of the tree.

    Attributes:
        exit_code: What the command line returns for it.
        retryable: Whether the same call may succeed later.
        advice: What to do next: part of the message, or of all errors of the class.
        model: The name of the model that was asked; None if none was.
        version: Its version, where one is known.
        endpoint: The address that was asked last; None if nothing was sent. `wait_ready` names all it asked.
        attempts: How often the failed request was sent.

    Args:
        message: What happened, in one line.
        advice: What to do next; ends the message.

    >>> str(ModelError("no card", advice="export the model again"))
    'no card; export the model again'
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    advice: str = "read the message and the log"
    model: str | None = None
    version: int | None = None
    endpoint: str | None = None
    attempts: int = 0

    def __init__(self, message: str = "", *, advice: str = "") -> None:
        super().__init__(f"{message}; {advice}" if advice else message)
        if advice:
            self.advice = advice


class UsageError(GannetError, ValueError):
    """The caller passed something that cannot be used; nothing was done."""

    exit_code = 2
    advice = "pass what the message says is expected"


class MissingExtra(UsageError, ImportError):
    """A feature was asked for whose libraries are not installed; the message says which extra brings them."""


class ServerUnreachable(GannetError, ConnectionError):
    """No server answers at the address, or it went away during the call."""

    exit_code = 3
    retryable = True
    advice = "check the address and that the server runs"


class ModelError(GannetError):
    """The model, its version or its signature is missing, broken or not what the caller needs."""

    exit_code = 4
    advice = "ask for another version, or export the model again"


class ModelNotFound(ModelError):
    """The server does not serve the model, or not the version or the label that was asked for."""


class RequestRejected(GannetError):
    """The server answered the request with an error that is not about the model's existence."""

    advice = "read the server's log"


class AccessDenied(RequestRejected, PermissionError):
    """The server, or what stands before it, refuses the token or the certificate."""


class AnswerTooLarge(RequestRejected):
    """The answer has more bytes than the client accepts, or the request more than the server does."""


class ServerOverloaded(RequestRejected):
    """The server has more requests than it can queue."""

    retryable = True


class TooManyRows(RequestRejected):
    """The server batches, and takes fewer rows than the request has.

    Attributes:
        limit: The most rows of one request.
    """

    limit: int = 0


class RequestTimeout(GannetError, TimeoutError):
    """No complete answer arrived within the deadline."""

    exit_code = 124
    retryable = True
    advice = "allow a longer timeout, or ask for less at once"
