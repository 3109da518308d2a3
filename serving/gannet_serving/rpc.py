"""Answers calls as TensorFlow Serving does, also those that are malformed or that nobody implements."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from gannet_serving.status import StatusError, truncated

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """One unary method: the class of its request and what answers it, by a message or a StatusError."""

    request_class: Any
    answer: Callable[[Any, grpc.ServicerContext], Any]


class Methods(grpc.GenericRpcHandler):
    """Dispatches raw bytes by the full name of the method.

    The handlers that are generated from the protos would leave malformed and unknown calls to grpcio, whose
    answers to them carry texts of its own.
    """

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            path: grpc.unary_unary_rpc_method_handler(partial(_respond, method))
            for path, method in methods.items()
        }
        self._otherwise: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(_refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """The handler of a call; there is one for every call."""
        return self._handlers.get(handler_call_details.method, self._otherwise)


def _respond(method: Method, data: bytes, context: grpc.ServicerContext) -> bytes:
    try:
        request = method.request_class.FromString(data)
    except DecodeError:
        context.abort(grpc.StatusCode.INTERNAL, "")
    try:
        response: bytes = method.answer(request, context).SerializeToString()
    except StatusError as error:
        context.abort(error.code, truncated(error.message))
    except Exception:
        _log.exception("a call failed for a reason that is not the caller's")
        context.abort(grpc.StatusCode.INTERNAL, "Internal error; the reason is in the server's log.")
    return response


def _refuse(requests: object, context: grpc.ServicerContext) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
