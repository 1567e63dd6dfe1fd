"""The health of the gRPC services, for load balancers and probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from .grpc_calls import UNREADABLE, reader, unary

# Short, as TensorFlow Serving has them; "" is the whole server.
SERVICES = ("", "PredictionService", "ModelService")
_SERVING, _NOT_SERVING, _UNKNOWN = (
    HealthCheckResponse.SERVING,
    HealthCheckResponse.NOT_SERVING,
    HealthCheckResponse.SERVICE_UNKNOWN,
)


class Health:
    """`grpc.health.v1.Health`: every service is healthy until the server stops.

    grpc-health-checking's own class writes to a watcher under the lock of all, and forgets the
    others when one leaves. Here each watcher has a coroutine that holds nothing.
    """

    def __init__(self) -> None:
        self._stopped = asyncio.Event()
        self.watchers = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serves it."""
        handlers = {
            "Check": unary(self._check, HealthCheckRequest),
            "Watch": grpc.unary_stream_rpc_method_handler(
                self._watch,
                request_deserializer=reader(HealthCheckRequest),
                response_serializer=HealthCheckResponse.SerializeToString,
            ),
        }
        handler = grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)
        server.add_generic_rpc_handlers((handler,))

    def stop(self) -> None:
        """Tells the watchers that nothing is served any more, and ends their calls. To be called
        in the server's event loop."""
        self._stopped.set()

    async def _check(self, request: Any, context: Any) -> Any:
        status = self._status(request.service)
        if status == _UNKNOWN:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return HealthCheckResponse()
        return HealthCheckResponse(status=status)

    async def _watch(self, request: Any, context: Any) -> AsyncIterator[HealthCheckResponse]:
        """Sends the state now, and once more when the server stops, which ends the call."""
        if request is UNREADABLE:
            await context.abort(grpc.StatusCode.INTERNAL, UNREADABLE)
        self.watchers += 1
        try:
            yield HealthCheckResponse(status=self._status(request.service))
            await self._stopped.wait()
            if request.service in SERVICES:
                yield HealthCheckResponse(status=_NOT_SERVING)
        finally:
            self.watchers -= 1

    def _status(self, service: str) -> HealthCheckResponse.ServingStatus:
        if service not in SERVICES:
            return _UNKNOWN
        return _NOT_SERVING if self._stopped.is_set() else _SERVING
