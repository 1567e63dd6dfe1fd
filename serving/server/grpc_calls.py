"""How a gRPC call is answered: one message in, one out, mistakes by their code and one line."""

from __future__ import annotations

import asyncio
import logging
import operator
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from ..errors import ServingError
from .cancellation import Cancellation

LOGGER = logging.getLogger(__name__)
MAX_ERROR_BYTES = 1024
UNREADABLE: Any = "Exception deserializing request!"  # gRPC's own words


def unary(answer: Callable[[Any, Any], Awaitable[Any]], request: Any) -> grpc.RpcMethodHandler:
    """The handler of a call that takes a message of class `request` and returns another one.

    A `ServingError` becomes the call's status; nothing of this program's inside is sent.

    Args:
        answer: coroutine function of the message and of gRPC's context of the call.
    """

    async def call(message: Any, context: Any) -> Any:
        if message is UNREADABLE:
            await context.abort(grpc.StatusCode.INTERNAL, UNREADABLE)
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded before the run"
            )
        try:
            return await answer(message, context)
        except ServingError as error:
            code, text = error.code, shortened(error.message)
        except Exception:
            # What went wrong inside is the log's matter, not the client's.
            LOGGER.exception("A call failed")
            code, text = grpc.StatusCode.INTERNAL, "Internal error"
        await context.abort(code, text)

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=reader(request),
        response_serializer=operator.methodcaller("SerializeToString"),
    )


def on_threads(
    answer: Callable[[Any, Cancellation], Any], threads: Executor
) -> Callable[[Any, Any], Awaitable[Any]]:
    """A function that takes its time, as the coroutine function that `unary` wants."""

    async def answering(message: Any, context: Any) -> Any:
        cancellation = cancellation_of(context)
        future = threads.submit(answer, message, cancellation)
        return await answered(asyncio.wrap_future(future), cancellation)

    return answering


def cancellation_of(context: Any) -> Cancellation:
    """What stops the call's run; its deadline is the client's."""
    remaining = context.time_remaining()
    return Cancellation(None if remaining is None else time.monotonic() + remaining)


async def answered(answer: Awaitable[Any], cancellation: Cancellation) -> Any:
    """Waits; stops the run when the client has gone away or its deadline has passed."""
    try:
        return await answer
    except asyncio.CancelledError:
        cancellation.cancel()
        raise


def reader(request: Any) -> Callable[[bytes], Any]:
    """Reads messages of a class, or `UNREADABLE`: an error here would leave the call without the
    answer in gRPC's own words."""

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
