"""PredictionService over one model manager."""

from __future__ import annotations

import functools
import time
from typing import Any

import grpc

from ..errors import ServingError, invalid_argument
from ..protos import (
    ClassificationRequest,
    ClassificationResponse,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    ModelSpec,
    MultiInferenceRequest,
    MultiInferenceResponse,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
)
from .admission import Refusals, RequestQueue
from .cancellation import Cancellation
from .grpc_calls import unary
from .manager import ModelManager
from .options import ServerOptions

SERVICE = "tensorflow.serving.PredictionService"
_CALLS = (  # of inference: the method here, and the messages
    ("Predict", "predict", PredictRequest, PredictResponse),
    ("Classify", "classify", ClassificationRequest, ClassificationResponse),
    ("Regress", "regress", RegressionRequest, RegressionResponse),
    ("MultiInference", "multi_inference", MultiInferenceRequest, MultiInferenceResponse),
)


class PredictionService(grpc.GenericRpcHandler):
    """The handlers of `tensorflow.serving.PredictionService`; the calls not listed are
    UNIMPLEMENTED.

    They have threads of their own: a server that is busy with requests still tells its status.

    Args:
        manager: the models.
        options: the server's.
        metrics: where to count what happens, or None.
        access_log: where to write what happens, or None.
    """

    def __init__(
        self,
        manager: ModelManager,
        options: ServerOptions,
        metrics: Any = None,
        access_log: Any = None,
    ) -> None:
        self._manager = manager
        self._metrics = metrics
        self._access_log = access_log
        self._queue = RequestQueue(
            options.grpc_max_threads, options.max_queued_requests, "inference"
        )
        refusals = Refusals()
        self._handlers, self._refusals = {}, {}
        for api, method, request, response in _CALLS:
            path = f"/{SERVICE}/{api}"
            self._handlers[path] = self._inference(api, method, request, response)
            self._refusals[path] = refusals.handler(request, functools.partial(self._refused, api))
        metadata = unary(self._metadata, GetModelMetadataRequest, GetModelMetadataResponse)
        self._metadata_handler = (f"/{SERVICE}/GetModelMetadata", metadata)

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler | None:
        """The handler of a call, or the refusal if too many wait."""
        handler = self._handlers.get(handler_call_details.method)
        if handler is None:
            name, metadata = self._metadata_handler
            return metadata if handler_call_details.method == name else None
        return self._refusals[handler_call_details.method] if self._queue.full else handler

    def _inference(
        self, api: str, method: str, request: Any, response: Any
    ) -> grpc.RpcMethodHandler:
        def call(message: Any, context: grpc.ServicerContext) -> Any:
            return self._answer(api, method, message, context)

        handler: Any = unary(call, request, response)
        handler.unary_unary.experimental_thread_pool = self._queue
        return handler

    def _answer(self, api: str, method: str, message: Any, context: grpc.ServicerContext) -> Any:
        start = time.perf_counter()
        status, answer = grpc.StatusCode.INTERNAL.name, None
        spec = _model_spec(message)
        try:
            if spec is None:
                raise invalid_argument("Missing ModelSpec")
            remaining = context.time_remaining()
            deadline = None if remaining is None else time.monotonic() + remaining
            cancellation = Cancellation(deadline)
            # Called when the client has gone away or its deadline has passed.
            if not context.add_callback(cancellation.cancel):
                raise ServingError(grpc.StatusCode.CANCELLED, "The request was cancelled.")
            with self._manager.acquire(spec) as servable:
                answer = getattr(servable, method)(message, cancellation)
            status = grpc.StatusCode.OK.name
            return answer
        except ServingError as error:
            status = error.code.name
            raise
        finally:
            if self._metrics is not None or self._access_log is not None:
                seconds = time.perf_counter() - start
                self._record(api, spec, message, answer, status, seconds, context)

    def _refused(self, api: str, message: Any, context: grpc.ServicerContext) -> None:
        status = grpc.StatusCode.UNAVAILABLE.name
        self._record(api, _model_spec(message), message, None, status, 0.0, context)

    def _record(
        self,
        api: str,
        spec: Any,
        message: Any,
        answer: Any,
        status: str,
        seconds: float,
        context: grpc.ServicerContext,
    ) -> None:
        model = spec.name if spec is not None else ""
        known: dict[str, Any] = {}
        if answer is not None:
            answered = _model_spec(answer)
            if answered is not None:
                known["version"] = answered.version.value
                known["signature"] = answered.signature_name
            if api != "Predict":
                kind = message.input.WhichOneof("kind")
                known["examples"] = len(getattr(message.input, kind).examples)
        # TensorFlow Serving does not count MultiInference.
        if self._metrics is not None and api != "MultiInference":
            self._metrics.request(model, api, "GRPC", status, seconds, **known)
        if self._access_log is not None:
            self._access_log.write(
                "GRPC", model, api, status, seconds, peer=context.peer(), **known
            )

    def _metadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._manager.metadata(request)


def _model_spec(message: Any) -> Any:
    """The model spec of a request or an answer; of several the first, None if there is none."""
    for several in ("tasks", "results"):
        if hasattr(message, several):
            items = getattr(message, several)
            # No tasks read as a spec without a name.
            return items[0].model_spec if items else ModelSpec()
    return message.model_spec if message.HasField("model_spec") else None


def prediction_service(
    manager: ModelManager, options: ServerOptions, metrics: Any = None, access_log: Any = None
) -> grpc.GenericRpcHandler:
    """See `PredictionService`."""
    return PredictionService(manager, options, metrics, access_log)
