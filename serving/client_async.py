"""The client for event loops."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from .client_base import ClientBase
from .client_batches import concatenated, located
from .client_calls import Call, Signatures, Target, decoded, merged
from .client_grpc import AsyncGrpc
from .client_http import AsyncHttp
from .errors import ServingError


class AsyncClient(ClientBase):
    """`Client` for event loops: the same arguments, methods and errors, to be awaited.

    A client belongs to the loop in which it first asks. Cancelling a call cancels its requests.

    Args:
        address, timeout, retry, tls: see `Client`.

    Example:
    >>> async def embed(sentences):
    ...     async with AsyncClient("localhost:8500") as client:
    ...         return await client.predict("elmo", sentences=sentences, batch_size=32)
    """

    _grpc, _http = AsyncGrpc, AsyncHttp

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
        batch_size: int | None = None,
        max_in_flight: int = 4,
        **named_inputs: Any,
    ) -> dict[str, np.ndarray]:
        """Runs a signature; see `Client.predict`."""
        target = Target(model, version, label, signature)
        request = self._checked(merged(inputs, named_inputs), timeout, batch_size, max_in_flight)
        seconds, parts = request.seconds, request.parts
        signatures: Signatures | None = None
        if self._needs_signatures(request):
            plain = Target(model, version, label)
            signatures = await self._call(self._protocol.metadata(plain), seconds)

        async def ask(some: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            typed = request.typed(some, target, signatures)
            call = self._protocol.predict(target, typed, outputs, signatures)
            return await self._call(call, seconds)

        if parts is None:
            return await ask(request.arrays)
        return await _in_parallel(ask, parts, request.in_flight)

    async def metadata(
        self,
        model: str,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> Signatures:
        """The signatures; see `Client.metadata`."""
        seconds = self._seconds(timeout)
        return await self._call(self._protocol.metadata(Target(model, version, label)), seconds)

    async def status(
        self, model: str, version: int | None = None, timeout: float | None = None
    ) -> dict[int, str]:
        """The state of each version ("AVAILABLE", "LOADING", ...), newest first."""
        seconds = self._seconds(timeout)
        return await self._call(self._protocol.status(Target(model, version)), seconds)

    async def close(self) -> None:
        """Closes the connection."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(self, call: Call, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        for pause in (*self.retry.pauses(), math.inf):  # none follows the last attempt
            try:
                answer = await self._transport.send(call, deadline - time.monotonic())
                return decoded(call, answer, self.address)
            except ServingError as error:
                again = error.code is grpc.StatusCode.UNAVAILABLE
                if not again or time.monotonic() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)


async def _in_parallel(
    ask: Any, parts: list[tuple[int, dict[str, np.ndarray]]], in_flight: int
) -> dict[str, np.ndarray]:
    """Asks for every part, a few at a time."""
    answers: list[Any] = [None] * len(parts)
    rows = [max((len(array) for array in part.values()), default=0) for _, part in parts]
    todo = iter(range(len(parts)))

    async def work() -> None:
        for index in todo:  # shared: each takes the next
            try:
                answers[index] = await ask(parts[index][1])
            except ServingError as error:
                raise located(error, parts[index][0], rows[index]) from error

    workers = [asyncio.ensure_future(work()) for _ in range(min(in_flight, len(parts)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return concatenated(answers, rows)
