"""PredictionService over one model manager."""

from __future__ import annotations

from typing import Any

import grpc

from ..protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    PredictRequest,
    PredictResponse,
)
from .grpc_calls import unary
from .manager import ModelManager
from .options import ServerOptions


def prediction_service(
    manager: ModelManager, options: ServerOptions, metrics: Any = None
) -> grpc.GenericRpcHandler:
    """The handlers of `tensorflow.serving.PredictionService`; the calls not listed are
    UNIMPLEMENTED.

    Args:
        manager: the models.
        options: the server's.
        metrics: where to count what happens, or None.
    """

    def predict(request: Any, context: grpc.ServicerContext) -> Any:
        return manager.predict(request)

    def metadata(request: Any, context: grpc.ServicerContext) -> Any:
        return manager.metadata(request)

    return grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService",
        {
            "Predict": unary(predict, PredictRequest, PredictResponse),
            "GetModelMetadata": unary(metadata, GetModelMetadataRequest, GetModelMetadataResponse),
        },
    )
