"""Who watches the health of a server is no harm to it."""

import time

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from polysemy.serving.server.event_loop import EventLoop
from polysemy.serving.server.health import Health

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING = HealthCheckResponse(status="SERVING").SerializeToString()


@pytest.fixture
def health():
    return Health()


@pytest.fixture
def channel(health):
    async def start():
        server = grpc.aio.server()
        health.add_to(server)
        port = server.add_insecure_port("localhost:0")
        await server.start()
        return server, port

    loop = EventLoop("test")
    server, port = loop.submit(start()).result()
    with grpc.insecure_channel(f"localhost:{port}") as connected:
        yield connected
    loop.submit(server.stop(None)).result()
    loop.close()


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
        if health.watchers == 1:
            return
        time.sleep(0.02)
    raise AssertionError(f"there are still {health.watchers} watchers")
