"""What the clients are before anybody waits: settings, checked arguments, a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .client_batches import batches
from .client_calls import (
    Signatures,
    Target,
    checked_in_flight,
    checked_seconds,
    checked_tls,
    is_rest,
)
from .client_grpc import GrpcProtocol
from .client_rest import RestProtocol
from .client_retry import Retry
from .client_tensors import as_arrays, untyped_names, with_dtypes
from .client_tls import TLS


class _Request(NamedTuple):
    """The arguments of `predict` as it needs them."""

    arrays: dict[str, np.ndarray]
    seconds: float
    in_flight: int
    # Pairs of a first row and the inputs from there, a request each; None where all goes in one.
    parts: list[tuple[int, dict[str, np.ndarray]]] | None
    untyped: frozenset[str]

    def typed(
        self, arrays: Mapping[str, np.ndarray], target: Target, signatures: Signatures | None
    ) -> dict[str, np.ndarray]:
        """Some of the rows, in the dtypes of the model where the values have none."""
        infos = (signatures or {}).get(target.signature or "serving_default", {}).get("inputs", {})
        return with_dtypes(arrays, self.untyped, infos)


class ClientBase:
    """The half of `Client` and `AsyncClient` that is the same for both.

    A client says with `_grpc` and `_http` what carries its calls.

    Args:
        address, timeout, retry, tls: see `Client`.
    """

    _grpc: ClassVar[Any]
    _http: ClassVar[Any]

    def __init__(
        self,
        address: str,
        timeout: float = 60.0,
        retry: Retry | None = None,
        tls: TLS | bool | None = None,
    ) -> None:
        rest = is_rest(address)
        tls = checked_tls(address, tls)
        self.address = address
        self.timeout = checked_seconds("timeout", timeout)
        self.retry = retry or Retry()
        self._protocol = RestProtocol() if rest else GrpcProtocol()
        self._transport: Any = (self._http if rest else self._grpc)(address, tls)

    def _seconds(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else checked_seconds("timeout", timeout)

    def _needs_signatures(self, request: _Request) -> bool:
        return self._protocol.needs_signatures or bool(request.untyped)

    def _checked(
        self,
        inputs: Mapping[str, Any],
        timeout: float | None,
        batch_size: int | None,
        max_in_flight: int,
    ) -> _Request:
        """The arguments of `predict` as it needs them.

        Raises:
            ValueError: if one is wrong.
        """
        arrays = as_arrays(inputs)
        self._protocol.check(arrays)
        seconds = self._seconds(timeout)
        in_flight = checked_in_flight(max_in_flight)
        parts = None if batch_size is None else list(batches(arrays, batch_size))
        return _Request(arrays, seconds, in_flight, parts, untyped_names(inputs, arrays))
