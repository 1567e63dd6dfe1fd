"""Clients that are slow on purpose: the server hangs up on them."""

import asyncio
import socket
import threading
import time

import pytest
from aiohttp import web

from polysemy.serving.server import http_server
from polysemy.serving.server.rest_body import read_body

LARGE = 16 * 2**20  # more than the sockets of this machine hold
HEAD = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


@pytest.fixture
def finished():
    return threading.Event()


@pytest.fixture
def connect(monkeypatch, finished):
    """`connect()`: a connection to a server that reads five bytes and answers with as many as the
    path says, and whose patience is 0.3 s."""
    monkeypatch.setattr(http_server, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(http_server, "SLOWEST_BYTES_PER_SECOND", 1e9)

    async def answer(request):
        try:
            await read_body(request, 0.3)
        except asyncio.TimeoutError:
            return web.Response(status=504)
        return web.Response(body=bytes(int(request.path.strip("/"))))

    finish = http_server._Connection.finish_response

    async def noting(*arguments):
        result = await finish(*arguments)
        finished.set()
        return result

    monkeypatch.setattr(http_server._Connection, "finish_response", noting)
    loop, ports = asyncio.new_event_loop(), []
    stopping = asyncio.Event()

    async def serve():
        runner = web.ServerRunner(http_server.HttpServer(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.extend(runner.addresses)
        ready.set()
        await stopping.wait()
        await runner.cleanup()

    ready = threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    sockets = []

    def run():
        sockets.append(socket.socket())
        sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sockets[-1].settimeout(20)
        sockets[-1].connect(ports[0])
        return sockets[-1]

    yield run
    for each in sockets:
        each.close()
    loop.call_soon_threadsafe(stopping.set)
    thread.join()
    loop.close()


@pytest.mark.parametrize("sent", [b"", b"POST /v1", HEAD[:-2] % 1, HEAD % 1 + b"{    "])
def test_heads_and_further_requests_do_not_take_for_ever(connect, sent):
    connection = connect()
    connection.sendall(sent)
    answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until the server hangs up
    assert answer.startswith(b"HTTP/1.1 200 OK") == sent.endswith(b" ")


def test_bodies_do_not_take_for_ever(connect):
    connection = connect()
    connection.sendall(HEAD % 1)
    for _ in range(4):  # a piece each 100 ms, but not all of them within 300
        connection.sendall(b" ")
        time.sleep(0.1)
    assert connection.recv(4096).startswith(b"HTTP/1.1 504 ")


def test_answers_that_nobody_reads_are_dropped(connect, finished):
    connection = connect()
    connection.sendall(HEAD % LARGE + b"{    ")
    assert finished.wait(20)
    received = sum(map(len, iter(lambda: connection.recv(65536), b"")))
    assert 0 < received < LARGE
