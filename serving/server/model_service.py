"""ModelService over one model manager: what is loaded, and what shall be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from ..protos import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from .grpc_calls import unary
from .manager import ModelManager
from .reloading import ConfigReloader

LOAD_ATTEMPTS = (
    "/tensorflow/cc/saved_model/load_attempt_count",
    ":tensorflow:cc:saved_model:load_attempt_count",
)


def model_service(manager: ModelManager, reloader: ConfigReloader) -> grpc.GenericRpcHandler:
    """The handlers of `tensorflow.serving.ModelService`."""

    def status(request: Any, context: grpc.ServicerContext) -> Any:
        return manager.status(request)

    def reload(request: Any, context: grpc.ServicerContext) -> Any:
        before = manager.load_attempts
        reloader.reload(request.config, timeout=context.time_remaining())
        response = ReloadConfigResponse()
        for name in request.metric_names:
            # Of a metric that is not known here TensorFlow Serving, too, says 0.
            increase = manager.load_attempts - before if name in LOAD_ATTEMPTS else 0
            response.metric.add(name=name).int64_value_increase = increase
        return response

    reloading: Any = unary(reload, ReloadConfigRequest, ReloadConfigResponse)
    # It waits until models are loaded, and must not keep the threads of other calls.
    reloading.unary_unary.experimental_thread_pool = ThreadPoolExecutor(2, "reload")
    return grpc.method_handlers_generic_handler(
        "tensorflow.serving.ModelService",
        {
            "GetModelStatus": unary(status, GetModelStatusRequest, GetModelStatusResponse),
            "HandleReloadConfigRequest": reloading,
        },
    )
