"""PredictionService over one model manager."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from concurrent.futures import Executor
from typing import Any

import grpc

from ..errors import ServingError, invalid_argument
from ..protos import (
    ClassificationRequest,
    GetModelMetadataRequest,
    ModelSpec,
    MultiInferenceRequest,
    PredictRequest,
    RegressionRequest,
)
from .admission import QUEUE_IS_FULL, RequestQueue
from .cancellation import Cancellation
from .grpc_calls import answered, cancellation_of, on_threads, unary
from .manager import ModelManager
from .options import ServerOptions
from .outbox import Outbox
from .servable import Servable

SERVICE = "tensorflow.serving.PredictionService"
_CALLS = (  # of inference: the method here, and the message
    ("Predict", "predict", PredictRequest),
    ("Classify", "classify", ClassificationRequest),
    ("Regress", "regress", RegressionRequest),
    ("MultiInference", "multi_inference", MultiInferenceRequest),
)
_SMALL = 2**16


class PredictionService(grpc.GenericRpcHandler):
    """The handlers of `tensorflow.serving.PredictionService`; the calls not listed are
    UNIMPLEMENTED.

    Inference has threads of its own: a server that is busy with requests still tells its status.
    A Predict that runs together with others needs none while it waits for them.

    Args:
        manager: the models.
        options: the server's.
        threads: what answers calls that run no model.
        metrics: where to count what happens, or None.
        access_log: where to write what happens, or None.
    """

    def __init__(
        self,
        manager: ModelManager,
        options: ServerOptions,
        threads: Executor,
        metrics: Any = None,
        access_log: Any = None,
    ) -> None:
        self._manager = manager
        self._metrics = metrics
        self._access_log = access_log
        self._queue = RequestQueue(
            options.grpc_max_threads, options.max_queued_requests, "inference"
        )
        self._outbox = Outbox()
        self._handlers = {
            f"/{SERVICE}/{api}": unary(functools.partial(self._answer, api, method), request)
            for api, method, request in _CALLS
        }
        self._handlers[f"/{SERVICE}/GetModelMetadata"] = unary(
            on_threads(lambda message, _: manager.metadata(message), threads),
            GetModelMetadataRequest,
        )

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler | None:
        """The handler of a call."""
        return self._handlers.get(handler_call_details.method)

    async def _answer(self, api: str, method: str, message: Any, context: Any) -> Any:
        start = time.perf_counter()
        status, answer = grpc.StatusCode.INTERNAL.name, None
        spec, cancellation = _model_spec(api, message), cancellation_of(context)
        try:
            if spec is None:
                raise invalid_argument("Missing ModelSpec")
            if self._queue.full:
                raise ServingError(grpc.StatusCode.UNAVAILABLE, QUEUE_IS_FULL)
            with self._manager.acquire(spec) as servable:
                answer = await self._inferred(servable, method, message, cancellation)
            status = grpc.StatusCode.OK.name
            return answer
        except ServingError as error:
            status = error.code.name
            raise
        except asyncio.CancelledError:  # the deadline has passed, or the client has gone away
            status = cancellation.error().code.name
            raise
        finally:
            if self._metrics is not None or self._access_log is not None:
                seconds = time.perf_counter() - start
                self._record(api, spec, message, answer, status, seconds, context)

    async def _inferred(
        self, servable: Servable, method: str, message: Any, cancellation: Cancellation
    ) -> Any:
        if method == "predict" and servable.batching and is_small(message):
            future = asyncio.get_running_loop().create_future()
            done = functools.partial(self._outbox.put, future)
            together = functools.partial(servable.predict_together, message, cancellation, done)
            if not (started := together()):
                preparing = self._queue.submit(servable.prepare, message)
                await answered(asyncio.wrap_future(preparing), cancellation)
                started = together()
            if started:
                with self._queue.place:
                    return await answered(future, cancellation)
        call = self._queue.submit(getattr(servable, method), message, cancellation)
        return await answered(asyncio.wrap_future(call), cancellation)

    def _record(
        self,
        api: str,
        spec: Any,
        message: Any,
        answer: Any,
        status: str,
        seconds: float,
        context: Any,
    ) -> None:
        model = spec.name if spec is not None else ""
        known: dict[str, Any] = {}
        if answer is not None:
            found = (answer.results[0] if api == "MultiInference" else answer).model_spec
            known["version"] = found.version.value
            known["signature"] = found.signature_name
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


def is_small(request: Any) -> bool:
    """Whether a request is read in no time, and so may be in the event loop, where all wait.

    Few bytes may stand for a large tensor, since the last value is repeated.

    Example:
    >>> request = PredictRequest()
    >>> request.inputs["x"].tensor_shape.dim.add(size=2**30)
    size: 1073741824
    >>> is_small(request)
    False
    """
    if request.ByteSize() > _SMALL:
        return False
    shapes = [proto.tensor_shape.dim for proto in request.inputs.values()]
    return all(
        len(shape) <= 8 and math.prod(dim.size for dim in shape) <= _SMALL for shape in shapes
    )


def _model_spec(api: str, request: Any) -> Any:
    """The model spec of a request; of several the first, None if there is none."""
    if api == "MultiInference":
        # No tasks read as a spec without a name.
        return request.tasks[0].model_spec if request.tasks else ModelSpec()
    return request.model_spec if request.HasField("model_spec") else None
