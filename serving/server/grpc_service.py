"""The gRPC side: PredictionService and ModelService over one model manager."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from ..errors import ServingError
from ..protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
)
from .manager import ModelManager

MAX_MESSAGE_BYTES = 2**31 - 1
MAX_ERROR_BYTES = 1024


def start_grpc(manager: ModelManager, port: int) -> tuple[grpc.Server, int]:
    """Starts answering on a port (0: a free one).

    Returns:
        The server and its port.

    Raises:
        OSError: if the port is in use.
    """
    server = grpc.server(
        ThreadPoolExecutor(4 * (os.cpu_count() or 1), thread_name_prefix="grpc"),
        options=[
            # gRPC's own limit of 4 MiB is too small for tensors.
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", -1),
            # Without this, Linux lets two servers share a port, and each gets half the requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    # Calls that are not listed answer UNIMPLEMENTED.
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.PredictionService",
                {
                    "Predict": _handler(manager.predict, PredictRequest, PredictResponse),
                    "GetModelMetadata": _handler(
                        manager.metadata, GetModelMetadataRequest, GetModelMetadataResponse
                    ),
                },
            ),
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.ModelService",
                {
                    "GetModelStatus": _handler(
                        manager.status, GetModelStatusRequest, GetModelStatusResponse
                    )
                },
            ),
        )
    )
    try:
        bound = server.add_insecure_port(f"0.0.0.0:{port}")
    except RuntimeError as error:
        raise OSError(f"`port` must be free. Received: port={port}, which is in use") from error
    server.start()
    return server, bound


def _handler(answer: Callable[[Any], Any], request: Any, response: Any) -> grpc.RpcMethodHandler:
    def call(message: Any, context: grpc.ServicerContext) -> Any:
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded before the run")
        try:
            return answer(message)
        except ServingError as error:
            context.abort(error.code, shortened(error.message))

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )


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
