"""ModelService over one model manager: what is loaded, and what shall be."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import grpc

from ..protos import (
    GetModelStatusRequest,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from .cancellation import Cancellation
from .grpc_calls import on_threads, unary
from .manager import ModelManager
from .reloading import ConfigReloader

LOAD_ATTEMPTS = (
    "/tensorflow/cc/saved_model/load_attempt_count",
    ":tensorflow:cc:saved_model:load_attempt_count",
)


def model_service(
    manager: ModelManager, reloader: ConfigReloader, threads: Executor
) -> grpc.GenericRpcHandler:
    """The handlers of `tensorflow.serving.ModelService`; `threads` find out the status."""

    def status(request: Any, cancellation: Cancellation) -> Any:
        return manager.status(request)

    def reload(request: Any, cancellation: Cancellation) -> Any:
        before = manager.load_attempts
        reloader.reload(request.config, timeout=cancellation.time_remaining())
        response = ReloadConfigResponse()
        for name in request.metric_names:
            # Of a metric that is not known here TensorFlow Serving, too, says 0.
            increase = manager.load_attempts - before if name in LOAD_ATTEMPTS else 0
            response.metric.add(name=name).int64_value_increase = increase
        return response

    # It waits until models are loaded, and must not keep the threads of other calls.
    reloading = on_threads(reload, ThreadPoolExecutor(2, "reload"))
    return grpc.method_handlers_generic_handler(
        "tensorflow.serving.ModelService",
        {
            "GetModelStatus": unary(on_threads(status, threads), GetModelStatusRequest),
            "HandleReloadConfigRequest": unary(reloading, ReloadConfigRequest),
        },
    )
