"""What the clients are before anybody waits: settings, checked arguments, a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .client_batches import batches
from .client_calls import checked_in_flight, checked_seconds, checked_tls, is_rest
from .client_grpc import GrpcProtocol
from .client_rest import RestProtocol
from .client_retry import Retry
from .client_tensors import as_arrays
from .client_tls import TLS


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

    def _checked(
        self,
        inputs: Mapping[str, Any],
        timeout: float | None,
        batch_size: int | None,
        max_in_flight: int,
    ) -> tuple[dict[str, np.ndarray], float, int, list[tuple[int, dict[str, np.ndarray]]] | None]:
        """The arguments of `predict` as it needs them.

        Returns:
            The inputs as arrays; seconds; requests in flight; pairs of a first row and the inputs
            from there, a request each, or None where all goes in one.

        Raises:
            ValueError: if one is wrong.
        """
        arrays = as_arrays(inputs)
        seconds = self._seconds(timeout)
        in_flight = checked_in_flight(max_in_flight)
        parts = None if batch_size is None else list(batches(arrays, batch_size))
        return arrays, seconds, in_flight, parts
