"""What a caller sees when a call does not succeed: a gRPC code and a message."""

import grpc

_MESSAGE_LIMIT = 1024
_CUT_MARK = "...TRUNCATED"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """A refusal or failure that reaches the caller as a gRPC status.

    Attributes:
        code: The status code.
        message: The text, as TensorFlow Serving words it where it has words for it.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message

    @property
    def number(self) -> int:
        """The code as a number: gRPC, TensorFlow and `StatusProto` count alike."""
        number: int = self.code.value[0]
        return number


def code_of(number: int) -> grpc.StatusCode:
    """The status code that TensorFlow numbers `number`; UNKNOWN for a number that gRPC does not have.

    >>> code_of(3).name, code_of(99).name
    ('INVALID_ARGUMENT', 'UNKNOWN')
    """
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)


def invalid(message: str) -> StatusError:
    """INVALID_ARGUMENT: the request itself is wrong, and repeating it is useless."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def failed_precondition(message: str) -> StatusError:
    """FAILED_PRECONDITION: the model cannot do what the request asks for."""
    return StatusError(grpc.StatusCode.FAILED_PRECONDITION, message)


def not_found(message: str) -> StatusError:
    """NOT_FOUND: the model or version is not there, at least not now."""
    return StatusError(grpc.StatusCode.NOT_FOUND, message)


def truncated(message: str) -> str:
    """`message` as it travels: at most 1024 bytes of it, because gRPC bounds the size of its metadata.

    >>> truncated("short")
    'short'
    >>> truncated("x" * 2000)[-15:]
    'xxx...TRUNCATED'
    """
    encoded = message.encode()
    if len(encoded) <= _MESSAGE_LIMIT:
        return message
    return encoded[:_MESSAGE_LIMIT].decode(errors="ignore") + _CUT_MARK
