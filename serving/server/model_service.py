"""ModelService over one model manager: what is loaded, and what shall be."""

from __future__ import annotations

from typing import Any

import grpc

from ..protos import GetModelStatusRequest, GetModelStatusResponse
from .grpc_calls import unary
from .manager import ModelManager


def model_service(manager: ModelManager) -> grpc.GenericRpcHandler:
    """The handlers of `tensorflow.serving.ModelService`."""

    def status(request: Any, context: grpc.ServicerContext) -> Any:
        return manager.status(request)

    return grpc.method_handlers_generic_handler(
        "tensorflow.serving.ModelService",
        {"GetModelStatus": unary(status, GetModelStatusRequest, GetModelStatusResponse)},
    )
