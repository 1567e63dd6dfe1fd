"""Reading the body of an HTTP request within limits."""

from __future__ import annotations

import asyncio
import time
import zlib

import grpc
from aiohttp import web

from ..errors import ServingError, invalid_argument

MAX_BODY_BYTES = 512 * 1024 * 1024  # of JSON, whose objects take several times as much
MAX_UNPACKED_BYTES = 100 * 1024 * 1024
SLOWEST_BYTES_PER_SECOND = 10_000  # of a client, once the time that all have is over


class BodyTooLarge(ServingError):
    """A body beyond the limit: HTTP has a status of its own for it, 413."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"The request's body must not be larger than {limit} bytes",
        )


async def read_body(request: web.BaseRequest, patience: float) -> bytes:
    """Reads a body; one with `Content-Encoding: gzip` is unpacked, up to 100 MiB.

    Args:
        request: the request.
        patience: float. Seconds for the body, and one more for each 10,000 bytes that have come.

    Raises:
        ServingError: if it is too large, or not what its encoding says.
        asyncio.TimeoutError: if the client is too slow.
        OSError: if the client goes away.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself has been sent
    if request.content.is_eof():  # a small body comes with the head
        body = request.content.read_nowait()
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(MAX_BODY_BYTES)
        return body
    pieces, size, start = [], 0, time.monotonic()
    while True:
        left = start + patience + size / SLOWEST_BYTES_PER_SECOND - time.monotonic()
        # A moment at least: what has come while this process was busy is still to be read.
        piece = await asyncio.wait_for(request.content.readany(), max(left, 0.05))
        if not piece:
            return b"".join(pieces)
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge(MAX_BODY_BYTES)
        pieces.append(piece)


def unpack(body: bytes) -> bytes:
    """Undoes gzip, of one member or several.

    Raises:
        ServingError: INVALID_ARGUMENT if it is not gzip, or ends too early.

    Example:
    >>> import gzip
    >>> unpack(gzip.compress(b"{}") + gzip.compress(b" "))
    b'{} '
    """
    pieces, room = [], MAX_UNPACKED_BYTES
    try:
        while body:
            member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            # One byte more than there is room for tells that it is too much.
            piece = member.decompress(body, room + 1)
            room -= len(piece)
            if room < 0:
                raise BodyTooLarge(MAX_UNPACKED_BYTES)
            if not member.eof:
                raise invalid_argument("The request's body ends in the middle of its gzip data")
            pieces.append(piece)
            body = member.unused_data
    except zlib.error as error:
        raise invalid_argument(f"The request's body is not gzip data: {error}") from error
    return b"".join(pieces)
