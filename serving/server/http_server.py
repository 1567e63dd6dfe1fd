"""HTTP itself: connections, their limits, and answers to bytes that are no request."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from .rest_body import SLOWEST_BYTES_PER_SECOND

MAX_LINE_BYTES = 65_536  # of the request line and of a header
# For the head of a request, the pause between two of a connection, and an answer of no length.
# Longer than proxies keep idle connections.
PATIENCE_SECONDS = 75.0
LOGGER = logging.getLogger(__name__)
# Bytes that are no HTTP are answered; anyone could fill the log with them.
LOGGER.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)


class HttpServer(web.Server):
    """Hands requests to a handler; what is no request gets an error of the API's own form.

    Args:
        handler: coroutine function from request to response.
    """

    def __init__(self, handler: Any) -> None:
        # Requests whose client has gone away are cancelled.
        super().__init__(handler, handler_cancellation=True)

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            auto_decompress=False,  # the handler does, within its limits
            keepalive_timeout=PATIENCE_SECONDS,
            access_log=None,  # type: ignore[arg-type]
            logger=LOGGER,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
        )


class _Connection(web.RequestHandler):
    """Hangs up on clients that take their time to send a head, or to read an answer."""

    async def start(self) -> None:
        transport: Any = self.transport
        try:
            await super().start()
        finally:
            if transport is not None and transport.get_write_buffer_size():
                # Closing waits until the client has read the rest, which it may never do.
                self._loop.call_later(PATIENCE_SECONDS, transport.abort)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        transport: Any = self.transport
        seconds = PATIENCE_SECONDS + (resp.content_length or 0) / SLOWEST_BYTES_PER_SECOND
        try:
            return await asyncio.wait_for(
                super().finish_response(request, resp, start_time), seconds
            )
        except asyncio.TimeoutError:
            if transport is not None:
                transport.abort()
            return resp, True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # for the log
        text = "Malformed request"
        if isinstance(exc, LineTooLong):
            text += f": a line or header of more than {MAX_LINE_BYTES} bytes"
        elif status >= 500:
            text = "Internal error"
        response = web.Response(
            status=status,
            body=json.dumps({"error": text}).encode(),
            content_type="application/json",
            headers={"Server": "polysemy"},
        )
        response.force_close()
        return response
