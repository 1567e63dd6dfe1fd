"""The REST side of the server: an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading

from aiohttp import web

from .access_log import AccessLog
from .http_server import HttpServer
from .manager import ModelManager
from .metrics import ServerMetrics
from .options import ServerOptions
from .rest_handler import RestHandler


class RestServer:
    """Answers TensorFlow Serving's REST API over HTTP in a thread of its own.

    Args:
        manager: the models.
        port: int; 0 takes a free one.
        grace: float. Seconds that `stop` waits for requests being answered.
        options: time limit, CORS, number of threads, limits. Default: the flags' defaults.
        metrics: where requests are counted, or None.
        metrics_path: str. Where they are shown; None shows them nowhere.
        access_log: where requests are written, or None.

    Raises:
        OSError: if the port is in use.
    """

    def __init__(
        self,
        manager: ModelManager,
        port: int,
        grace: float,
        options: ServerOptions | None = None,
        metrics: ServerMetrics | None = None,
        metrics_path: str | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self._socket = listening_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self._handler = RestHandler(
            manager, options or ServerOptions(), metrics, metrics_path, access_log
        )
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
        self._handler.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _serve(self) -> None:
        runner = web.ServerRunner(HttpServer(self._handler), shutdown_timeout=self._grace)
        await runner.setup()
        await web.SockSite(runner, self._socket, backlog=1024).start()
        self._ready.set()
        await self._stopping.wait()
        await runner.cleanup()


def listening_socket(port: int, argument: str = "rest_api_port") -> socket.socket:
    """A bound socket for IPv6 and IPv4 at once, or for IPv4 where there is no IPv6.

    Raises:
        OSError: if the port is in use; the argument that it came from is named.
    """
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
            f"`{argument}` must be free. Received: {argument}={port}: {error.strerror}"
        ) from error
