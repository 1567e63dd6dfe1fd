"""HTTP itself: connections, their limits, and answers to bytes that are no request."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

MAX_LINE_BYTES = 65_536  # of the request line and of a header
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
            access_log=None,  # type: ignore[arg-type]
            logger=LOGGER,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
        )


class _Connection(web.RequestHandler):
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
