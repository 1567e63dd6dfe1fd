"""How a gRPC call is answered: one message in, one out, mistakes by their code and one line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from ..errors import ServingError

LOGGER = logging.getLogger(__name__)
MAX_ERROR_BYTES = 1024
UNREADABLE: Any = "Exception deserializing request!"  # gRPC's own words


def unary(
    answer: Callable[[Any, grpc.ServicerContext], Any], request: Any, response: Any
) -> grpc.RpcMethodHandler:
    """The handler of a call that takes a message of class `request` and returns a `response`.

    A `ServingError` becomes the call's status; nothing of this program's inside is sent.
    """

    def call(message: Any, context: grpc.ServicerContext) -> Any:
        if message is UNREADABLE:
            context.abort(grpc.StatusCode.INTERNAL, UNREADABLE)
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded before the run")
        try:
            return answer(message, context)
        except ServingError as error:
            context.abort(error.code, shortened(error.message))
        except Exception:
            # What went wrong inside is the log's matter, not the client's.
            LOGGER.exception("A call failed")
            context.abort(grpc.StatusCode.INTERNAL, "Internal error")

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=reader(request),
        response_serializer=response.SerializeToString,
    )


def reader(request: Any) -> Callable[[bytes], Any]:
    """Reads messages of a class, or `UNREADABLE`.

    An error here would be answered by gRPC itself, in the same words, and each such call keeps
    kilobytes of memory for ever.
    """

    def read(content: bytes) -> Any:
        try:
            return request.FromString(content)
        except DecodeError:
            return UNREADABLE

    return read


def shortened(message: str) -> str:
    """An error's text within the 1024 bytes that TensorFlow Serving sends.

    Example:
    >>> len(shortened("é" * 2000).encode()) <= 1024, shortened("x" * 2000)[-12:]
    (True, '...TRUNCATED')
    """
    content = message.encode("utf-8", "replace")
    if len(content) <= MAX_ERROR_BYTES:
        return content.decode()
    mark = "...TRUNCATED"
    return content[: MAX_ERROR_BYTES - len(mark)].decode("utf-8", "ignore") + mark
