"""The health of the gRPC services, for load balancers and probes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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

    grpc-health-checking's own class sends to its watchers under the lock that a watcher who leaves
    needs, too: one that leaves early ends the whole server. Here no lock is held while anything is
    sent, and a watcher that reads nothing keeps only other watchers waiting.
    """

    def __init__(self) -> None:
        self._stopped = False
        self._guard = threading.Lock()
        self._streams: dict[Callable[[Any], None], str] = {}
        # To send waits for the client, which must not keep the threads of other calls.
        self._threads = ThreadPoolExecutor(4, "watch")

    def add_to(self, server: grpc.Server) -> None:
        """Serves it."""
        watch: Any = functools.partial(self._watch)
        watch.experimental_non_blocking = True  # no thread waits for the stop
        watch.experimental_thread_pool = self._threads
        handlers = {
            "Check": unary(self._check, HealthCheckRequest, HealthCheckResponse),
            "Watch": grpc.unary_stream_rpc_method_handler(
                watch,
                request_deserializer=reader(HealthCheckRequest),
                response_serializer=HealthCheckResponse.SerializeToString,
            ),
        }
        handler = grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)
        server.add_generic_rpc_handlers((handler,))

    def stop(self) -> None:
        """Tells the watchers that nothing is served any more, and ends their calls."""
        with self._guard:
            self._stopped = True
            streams, self._streams = self._streams, {}
        for send, service in streams.items():
            self._threads.submit(self._end, send, service)

    def _check(self, request: Any, context: grpc.ServicerContext) -> Any:
        status = self._status(request.service)
        if status == _UNKNOWN:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return HealthCheckResponse()
        return HealthCheckResponse(status=status)

    def _watch(self, request: Any, context: Any, send_response_callback: Any) -> None:
        """Sends the state now, and once more when the server stops, which ends the call."""
        if request is UNREADABLE:
            context.abort(grpc.StatusCode.INTERNAL, UNREADABLE)
        send = send_response_callback
        send(HealthCheckResponse(status=self._status(request.service)))
        with self._guard:
            stopped = self._stopped
            if not stopped:
                self._streams[send] = request.service
        if stopped:
            self._end(send, request.service)
        elif not context.add_callback(lambda: self._streams.pop(send, None)):
            self._streams.pop(send, None)  # the client has left already

    def _status(self, service: str) -> HealthCheckResponse.ServingStatus:
        if service not in SERVICES:
            return _UNKNOWN
        return _NOT_SERVING if self._stopped else _SERVING

    def _end(self, send: Callable[[Any], None], service: str) -> None:
        if service in SERVICES:
            send(HealthCheckResponse(status=_NOT_SERVING))
        send(None)
