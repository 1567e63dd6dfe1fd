"""HTTP connections of the clients: kept open, bounded in time."""

from __future__ import annotations

import asyncio
import collections
import http.client
import time
import urllib.parse
from typing import Any

import grpc

from .client_calls import Call
from .client_rest import checked_answer
from .client_tls import TLS
from .errors import ServingError

_CHUNK = 1 << 20
_HEADERS = {"Content-Type": "application/json"}


class SyncHttp:
    """Sends calls and waits; threads may share it, each call has a connection of its own."""

    def __init__(self, address: str, tls: TLS | None) -> None:
        self.address = address.rstrip("/")
        self._parts = urllib.parse.urlsplit(self.address)
        self._context = None if tls is None else tls.context()
        self._idle: collections.deque[http.client.HTTPConnection] = collections.deque()

    def send(self, call: Call, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while True:
            connection, fresh = self._connection()
            try:
                status, body = _exchange(connection, call, self._parts.path, deadline)
            except TimeoutError as error:
                connection.close()
                raise ServingError(
                    grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time", self.address
                ) from error
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if isinstance(error, http.client.BadStatusLine) and not isinstance(error, OSError):
                    raise _no_http(self.address) from error
                if not fresh:
                    continue  # the server has closed it meanwhile, as servers do with idle ones
                raise _unavailable(error, self.address) from error
            self._idle.append(connection)
            return checked_answer(status, body, self.address)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        try:
            return self._idle.pop(), False
        except IndexError:
            host, port = str(self._parts.hostname), self._parts.port
            if self._context is None:
                return http.client.HTTPConnection(host, port), True
            return http.client.HTTPSConnection(host, port, context=self._context), True


class AsyncHttp:
    """Sends calls from an event loop, over aiohttp."""

    def __init__(self, address: str, tls: TLS | None) -> None:
        self.address = address.rstrip("/")
        self._tls = tls
        self._session: Any = None

    async def send(self, call: Call, timeout: float) -> bytes:
        import aiohttp
        import yarl

        if self._session is None:  # a session belongs to the loop in which it is made
            context = True if self._tls is None else self._tls.context()
            connector = aiohttp.TCPConnector(ssl=context, limit=0)  # the caller bounds requests
            self._session = aiohttp.ClientSession(connector=connector)
        verb, path = call.method.split(" ", 1)
        root = yarl.URL(self.address)
        # Encoded already: aiohttp's own reading would turn a quoted colon back into one.
        url = root.with_path(f"{root.raw_path.rstrip('/')}{path}", encoded=True)
        try:
            async with self._session.request(
                verb,
                url,
                data=call.payload,
                headers=_HEADERS,
                allow_redirects=False,  # what is asked is for this server
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                return checked_answer(response.status, await response.read(), self.address)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise ServingError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time", self.address
            ) from error
        except aiohttp.ClientResponseError as error:  # statuses are read: this was no answer
            raise _no_http(self.address) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _unavailable(error, self.address) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _exchange(
    connection: http.client.HTTPConnection, call: Call, prefix: str, deadline: float
) -> tuple[int, bytes]:
    """One request and its answer; every wait ends at the deadline."""

    def remaining() -> float:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    connection.timeout = remaining()
    if connection.sock is None:
        connection.connect()
    socket: Any = connection.sock
    socket.settimeout(remaining())
    verb, path = call.method.split(" ", 1)
    connection.request(verb, f"{prefix}{path}", call.payload, _HEADERS)
    socket.settimeout(remaining())
    response = connection.getresponse()
    body = bytearray()
    while True:
        if not response.isclosed():
            socket.settimeout(remaining())
        piece = response.read1(_CHUNK)
        if not piece:
            return response.status, bytes(body)
        body += piece


def _unavailable(error: Exception, address: str) -> ServingError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ServingError(grpc.StatusCode.UNAVAILABLE, reason, address)


def _no_http(address: str) -> ServingError:
    reason = "no HTTP/1.1 answer; this may be the port of gRPC, whose address has no http://"
    return ServingError(grpc.StatusCode.UNAVAILABLE, reason, address)
