"""The health of the gRPC services, for load balancers and probes."""

from __future__ import annotations

from typing import Any

from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

# Short, as TensorFlow Serving has them; "" is the whole server.
SERVICES = ("", "PredictionService", "ModelService")


class Health(HealthServicer):
    """`grpc.health.v1.Health` whose watchers do not keep a server from stopping."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: set[Any] = set()
        for service in SERVICES:
            self.set(service, HealthCheckResponse.ServingStatus.Value("SERVING"))

    def add_to(self, server: Any) -> None:
        """Serves it."""
        add_HealthServicer_to_server(self, server)

    def Watch(self, request: Any, context: Any, send_response_callback: Any = None) -> Any:
        self._streams.add(send_response_callback)
        context.add_callback(lambda: self._streams.discard(send_response_callback))
        return super().Watch(request, context, send_response_callback)

    def stop(self) -> None:
        """Tells the watchers that nothing is served any more, and ends their calls."""
        self.enter_graceful_shutdown()
        for send in list(self._streams):
            send(None)
