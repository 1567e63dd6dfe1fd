"""Answers one HTTP request after another: TensorFlow Serving's REST API over a model manager."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from typing import Any

import grpc
from aiohttp import web
from google.protobuf import json_format

from ..errors import ServingError, invalid_argument
from ..protos import GetModelMetadataRequest, GetModelStatusRequest, SignatureDefMap
from .access_log import AccessLog
from .admission import QUEUE_IS_FULL, RequestQueue
from .cancellation import Cancellation
from .json_document import parse
from .manager import ModelManager
from .metrics import ServerMetrics
from .options import ServerOptions
from .rest_body import BodyTooLarge, read_body, unpack
from .rest_examples import read_request, write_response
from .rest_predict import predict, signature_name
from .rest_routes import Route, find_route
from .servable import DEFAULT_SIGNATURE

LOGGER = logging.getLogger(__name__)
HTTP_STATUS = {  # of an error's code; 500 for every other
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_ORIGIN = re.compile(r"^https?://[^/?]*", re.I)  # as proxies send targets
_NOT_FOUND = "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"


class RestHandler:
    """A coroutine function from request to response, for `aiohttp.web.Server`.

    Models run in threads, and JSON is read and written there, so that a slow model or a large
    tensor never keeps a request for the status waiting.

    Args:
        manager: the models.
        options: time limit, CORS, number of threads, limits.
        metrics: where requests are counted, or None.
        metrics_path: str. Where they are shown, or None.
        access_log: where requests are written, or None.
    """

    def __init__(
        self,
        manager: ModelManager,
        options: ServerOptions,
        metrics: ServerMetrics | None = None,
        metrics_path: str | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self._manager = manager
        self._options = options
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._access_log = access_log
        self._time_limit = options.rest_api_timeout_in_ms / 1000
        self._queue = RequestQueue(
            options.rest_api_num_threads, options.max_queued_requests, "rest"
        )

    def close(self) -> None:
        """Ends the threads when they have finished their work."""
        self._queue.shutdown(wait=False)

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        target = _ORIGIN.sub("", request.raw_path)
        if self._metrics is not None and target.split("?")[0] == self._metrics_path:
            if request.method == "GET":
                loop = asyncio.get_running_loop()
                page = await loop.run_in_executor(None, self._metrics.render)
                return self._response(200, page, "text/plain")
        if not target.lower().startswith("/v1/"):
            return self._response(404, _NOT_FOUND.encode(), "text/html")
        if request.method == "OPTIONS":
            known = request.headers.get("Origin", "").startswith(("http://", "https://"))
            return self._response(200 if known else 400, b"")
        return await self._call(request, find_route(request.method, target))

    async def _call(self, request: web.BaseRequest, route: Route) -> web.Response:
        started = time.perf_counter()
        code = grpc.StatusCode.INTERNAL
        try:
            try:
                body = await self._answer(request, route)
                code, status = grpc.StatusCode.OK, 200
            except asyncio.TimeoutError as error:
                message = f"Timed out after {self._time_limit:g} s"
                raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, message) from error
            except web.RequestPayloadError as error:
                raise invalid_argument(f"Malformed request: {error}") from error
            except OSError as error:  # nobody will read this answer
                message = "The client has closed the connection"
                raise ServingError(grpc.StatusCode.CANCELLED, message) from error
        except ServingError as error:
            code = error.code
            status = 413 if isinstance(error, BodyTooLarge) else HTTP_STATUS.get(code, 500)
            body = _encode({"error": error.message})
        except asyncio.CancelledError:  # the client is gone
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._record(request, route, code.name, time.perf_counter() - started)
        return self._response(status, body)

    async def _answer(self, request: web.BaseRequest, route: Route) -> bytes:
        if route.error is not None:
            raise route.error
        if route.call == "status":
            return _encode(self._status(route.spec))
        if route.call == "metadata":
            return _encode(self._metadata(route))
        body = await read_body(request, self._time_limit)
        packed = request.headers.get("Content-Encoding", "").lower() == "gzip"
        if self._queue.full:
            raise ServingError(grpc.StatusCode.UNAVAILABLE, QUEUE_IS_FULL)
        cancellation = Cancellation(time.monotonic() + self._time_limit)
        future = self._queue.submit(self._infer, route, body, packed, cancellation)
        answer = asyncio.wrap_future(future)
        try:
            await asyncio.wait([answer], timeout=self._time_limit)
        finally:
            if not answer.done():  # too late, or the client has left
                answer.cancel()
                future.cancel()  # out of the queue at once; `answer` alone would tell it later
                cancellation.cancel()  # or out of the model
        if answer.cancelled():
            raise asyncio.TimeoutError
        try:
            return answer.result()
        except ServingError:
            raise
        except Exception as error:
            LOGGER.exception("A request for %r failed", route.spec.name)
            # What went wrong inside is the log's matter, not the client's.
            raise ServingError(grpc.StatusCode.INTERNAL, "Internal error") from error
        finally:
            # An error holds this frame, and would hold itself through them: the request's whole
            # document would stay until the collector of cycles comes.
            del answer, future

    def _infer(self, route: Route, body: bytes, packed: bool, cancellation: Cancellation) -> bytes:
        document = parse(unpack(body) if packed else body, self._options.max_json_depth)
        if route.call == "predict":
            limit = self._options.max_tensor_bytes
            return _encode(predict(self._manager, route, document, limit, cancellation))
        signature = signature_name(document)
        request = read_request(document, route.call, route.spec, signature)
        route.examples = len(document["examples"])
        with self._manager.acquire(route.spec) as servable:
            route.version, route.signature = servable.version, signature or DEFAULT_SIGNATURE
            run = servable.classify if route.call == "classify" else servable.regress
            return _encode(write_response(run(request, cancellation)))

    def _status(self, spec: Any) -> dict[str, Any]:
        request = GetModelStatusRequest()
        request.model_spec.CopyFrom(spec)
        return _as_json(self._manager.status(request))

    def _metadata(self, route: Route) -> dict[str, Any]:
        request = GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.CopyFrom(route.spec)
        response = self._manager.metadata(request)
        route.version = response.model_spec.version.value
        signatures = SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            "model_spec": _as_json(response.model_spec),
            "metadata": {"signature_def": _as_json(signatures)},
        }

    def _record(self, request: web.BaseRequest, route: Route, code: str, seconds: float) -> None:
        name, call = route.spec.name, route.call
        if self._metrics is not None:
            examples = None if call == "predict" else route.examples
            self._metrics.request(
                name, call, "REST", code, seconds, examples, route.version, route.signature
            )
        if self._access_log is not None:
            peer = request.transport and request.transport.get_extra_info("peername")
            self._access_log.write(
                *("REST", name, call, code, seconds),
                version=route.version,
                signature=route.signature,
                examples=route.examples,
                peer=f"{peer[0]}:{peer[1]}" if peer else None,
            )

    def _response(
        self, status: int, body: bytes, content_type: str = "application/json"
    ) -> web.Response:
        # Instead of aiohttp's own header, which tells its version and Python's.
        headers = {"Server": "polysemy"}
        if self._options.rest_api_enable_cors_support:
            headers |= _CORS
        charset = "utf-8" if content_type.startswith("text/") else None
        return web.Response(
            status=status, body=body, headers=headers, content_type=content_type, charset=charset
        )


def _as_json(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _encode(content: dict[str, Any]) -> bytes:
    # A lone surrogate of the client's own text, quoted in an error, has no UTF-8.
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
