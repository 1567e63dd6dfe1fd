"""Who watches the health of a server is no harm to it."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from polysemy.serving.server.health import Health

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING = HealthCheckResponse(status="SERVING").SerializeToString()


@pytest.fixture
def health():
    return Health()


@pytest.fixture
def channel(health):
    server = grpc.server(ThreadPoolExecutor(2))
    health.add_to(server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as connected:
        yield connected
    server.stop(None).wait()


def test_watchers_who_leave_at_once_end_nothing_and_leave_nothing_behind(channel, health):
    watch = channel.unary_stream(WATCH)
    for i in range(500):
        watching = watch(HealthCheckRequest(service=f"made up {i}").SerializeToString())
        if i % 2:
            next(watching)
        watching.cancel()
    assert channel.unary_unary(CHECK)(b"", timeout=20) == SERVING
    for call in (lambda: channel.unary_unary(CHECK)(b"\xff"), lambda: next(watch(b"\xff"))):
        with pytest.raises(grpc.RpcError, match="Exception deserializing request!"):
            call()
    staying = watch(b"", timeout=20)
    assert next(staying) == SERVING
    for _ in range(200):
        if list(health._streams.values()) == [""]:
            return
        time.sleep(0.02)
    raise AssertionError(f"there are still {len(health._streams)} watchers")
