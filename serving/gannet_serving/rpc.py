"""Answers calls as TensorFlow Serving does, also those that are malformed or that nobody implements."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from gannet_serving.calls import Call, GrpcCall, Recorders, record
from gannet_serving.status import StatusError, truncated

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """One unary method.

    Attributes:
        request_class: The class of its request.
        answer: What answers it, by a message or a StatusError.
        slots: Held while it is answered.
    """

    request_class: Any
    answer: Callable[[Any, Call], Any]
    slots: AbstractContextManager[object] = field(default_factory=nullcontext)


class Methods(grpc.GenericRpcHandler):
    """Dispatches raw bytes by the full name of the method.

    The handlers that are generated from the protos would leave malformed and unknown calls to grpcio, whose
    answers to them carry texts of its own.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        received: Callable[[], None] = lambda: None,
        recorders: Recorders = (),
    ) -> None:
        """Prepares the handlers.

        Args:
            methods: What answers, by `/SERVICE/METHOD`.
            received: Called by a call's thread once the call's message is there.
            recorders: Take note of each call once it is answered.
        """
        self._received = received
        self._recorders = recorders
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            path: grpc.unary_unary_rpc_method_handler(partial(self._respond, path.rpartition("/")[2], method))
            for path, method in methods.items()
        }
        self._otherwise: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(self._refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """The handler of a call; there is one for every call."""
        return self._handlers.get(handler_call_details.method, self._otherwise)

    def _respond(self, api: str, method: Method, data: bytes, context: grpc.ServicerContext) -> bytes:
        self._received()
        call = GrpcCall(api, context)
        try:
            response = _answer(method, data, call)
        except StatusError as error:
            record(self._recorders, call, error.code)
            context.abort(error.code, truncated(error.message))
        record(self._recorders, call, grpc.StatusCode.OK)
        return response

    def _refuse(self, requests: object, context: grpc.ServicerContext) -> NoReturn:
        record(self._recorders, GrpcCall("", context), grpc.StatusCode.UNIMPLEMENTED)
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "")


def _answer(method: Method, data: bytes, call: Call) -> bytes:
    try:
        with method.slots:
            response: bytes = method.answer(method.request_class.FromString(data), call).SerializeToString()
            return response
    except DecodeError:
        raise StatusError(grpc.StatusCode.INTERNAL, "") from None
    except StatusError:
        raise
    except Exception:
        _log.exception("request %s: failed for a reason that is not the caller's", call.id)
        raise StatusError(
            grpc.StatusCode.INTERNAL, "Internal error; the reason is in the server's log."
        ) from None
