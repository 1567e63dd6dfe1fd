"""The REST side: TensorFlow Serving's routes over one model manager, on aiohttp."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import grpc
from aiohttp import web
from google.protobuf import json_format

from ..errors import ServingError, invalid_argument
from ..protos import GetModelMetadataRequest, GetModelStatusRequest, ModelSpec, SignatureDefMap
from .manager import ModelManager
from .rest_predict import HTTP_STATUS, predict

MAX_BODY_BYTES = 2**31 - 1
TIMEOUT_SECONDS = 30.0
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_ROUTES = {  # matched whole, ignoring case, on path and query
    "predict": ("POST", re.compile(_MODEL + r":predict", re.IGNORECASE)),
    "metadata": ("GET", re.compile(_MODEL + r"/metadata", re.IGNORECASE)),
    "status": ("GET", re.compile(_MODEL, re.IGNORECASE)),
}


class RestServer:
    """Answers over HTTP in a thread of its own.

    Args:
        manager: the models.
        port: int; 0 takes a free one.
        grace: float. Seconds that `stop` waits for requests being answered.

    Raises:
        OSError: if the port is in use.
    """

    def __init__(self, manager: ModelManager, port: int, grace: float) -> None:
        self._manager = manager
        self._socket = _listening_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self._pool = ThreadPoolExecutor(4 * (os.cpu_count() or 1), thread_name_prefix="rest")
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._grace = grace
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Stops taking requests and waits for those being answered."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._pool.shutdown(wait=False)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=self._grace)
        await runner.setup()
        site = web.SockSite(runner, self._socket)
        await site.start()
        self._ready.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        target = request.raw_path
        if not target.lower().startswith("/v1/"):
            raise web.HTTPNotFound()
        try:
            answer = await asyncio.wait_for(self._dispatch(request, target), TIMEOUT_SECONDS)
            return _response(200, answer)
        except ServingError as error:
            return _response(HTTP_STATUS.get(error.code, 500), {"error": error.message})
        except asyncio.TimeoutError:
            status = HTTP_STATUS[grpc.StatusCode.DEADLINE_EXCEEDED]
            return _response(status, {"error": f"Timed out after {TIMEOUT_SECONDS:g} s"})

    async def _dispatch(self, request: web.Request, target: str) -> dict[str, Any]:
        if request.method == "GET" and target.lower() == "/v1/models":
            raise invalid_argument("Missing model name in request.")
        for route, (method, pattern) in _ROUTES.items():
            match = pattern.fullmatch(target)
            if match and request.method == method:
                spec = _model_spec(match)
                if route == "metadata":
                    return self._metadata(spec)
                if route == "status":
                    return self._status(spec)
                body = await request.read()
                # The model runs outside the event loop, which would stand still meanwhile.
                return await self._loop.run_in_executor(
                    self._pool, predict, self._manager, spec, body
                )
        raise invalid_argument(f"Malformed request: {request.method} {target}")

    def _status(self, spec: Any) -> dict[str, Any]:
        request = GetModelStatusRequest()
        request.model_spec.CopyFrom(spec)
        return _as_json(self._manager.status(request))

    def _metadata(self, spec: Any) -> dict[str, Any]:
        request = GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.CopyFrom(spec)
        response = self._manager.metadata(request)
        signatures = SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            "model_spec": _as_json(response.model_spec),
            "metadata": {"signature_def": _as_json(signatures)},
        }


def _model_spec(match: re.Match) -> Any:
    spec = ModelSpec(name=unquote(match["name"]))
    if match["version"] is not None:
        version = int(match["version"])
        if version > 2**63 - 1:
            raise invalid_argument(f"Failed to convert version: {match['version']} to a number")
        spec.version.value = version
    if match["label"] is not None:
        spec.version_label = unquote(match["label"])
    return spec


def _as_json(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _response(status: int, content: dict[str, Any]) -> web.Response:
    text = json.dumps(content, ensure_ascii=False)
    # A lone surrogate of the client's own text, quoted in an error, has no UTF-8.
    body = text.encode("utf-8", "replace")
    return web.Response(status=status, body=body, content_type="application/json")


def _listening_socket(port: int) -> socket.socket:
    """A bound socket for IPv6 and IPv4 at once, or for IPv4 where there is no IPv6."""
    try:
        if socket.has_dualstack_ipv6():
            try:
                return socket.create_server(
                    ("::", port), family=socket.AF_INET6, dualstack_ipv6=True
                )
            except OSError as error:
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        return socket.create_server(("0.0.0.0", port))
    except OSError as error:
        raise OSError(
            f"`rest_api_port` must be free. Received: rest_api_port={port}: {error.strerror}"
        ) from error
