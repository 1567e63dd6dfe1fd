"""What the clients have in common, whatever the protocol and whoever waits."""

from __future__ import annotations

import dataclasses
import math
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from .client_tensors import TensorInfo
from .client_tls import TLS
from .errors import ServingError

Signatures = dict[str, dict[str, dict[str, TensorInfo]]]


@dataclasses.dataclass(frozen=True)
class Call:
    """One request of a protocol.

    Args:
        method: str. The path of the gRPC method, or "VERB /path".
        payload: what the transport sends.
        decode: turns the answer's bytes into what the caller wants.
    """

    method: str
    payload: Any
    decode: Callable[[bytes], Any]


@dataclasses.dataclass(frozen=True)
class Target:
    """The model that is asked.

    Args:
        model: str. version: int or None, the newest. label: str or None.
        signature: str or None, "serving_default".
    """

    model: str
    version: int | None = None
    label: str | None = None
    signature: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise ValueError(f"`model` must be a name. Received: model={self.model!r}")
        if self.version is not None and self.label is not None:
            raise ValueError(
                "`version` and `label` must not be given together. "
                f"Received: version={self.version}, label={self.label!r}"
            )
        if self.version is not None and (
            isinstance(self.version, bool)
            or not isinstance(self.version, int)
            or not -(2**63) <= self.version < 2**63
        ):
            raise ValueError(
                f"`version` must be an int of 64 bits. Received: version={self.version!r}"
            )


def is_rest(address: str) -> bool:
    """Whether an address is one of REST; checks its form.

    Raises:
        ValueError: if it is neither of gRPC nor of REST.

    Example:
    >>> is_rest("localhost:8500"), is_rest("http://localhost:8501")
    (False, True)
    """
    if re.match(r"https?://", address):
        parts = urllib.parse.urlsplit(address)
        try:
            known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:  # the port is no number
            known = False
        if known:
            return True
    elif re.fullmatch(r"(dns:///?)?(\[[^\]]+\]|[^\s:/]+):\d{1,5}|unix:.+", address):
        return False
    raise ValueError(
        "`address` must be HOST:PORT or dns:///HOST:PORT of gRPC, unix:PATH, or "
        f"http://HOST:PORT of REST. Received: address={address!r}"
    )


def checked_tls(address: str, tls: TLS | bool | None) -> TLS | None:
    """The TLS of a connection: True is the system's authorities; https:// needs no argument."""
    if address.startswith("http://") and tls:
        raise ValueError(f"`address` must be https:// with `tls`. Received: address={address!r}")
    if tls is True or (tls is None and address.startswith("https://")):
        return TLS()
    return tls or None


def merged(inputs: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a request, given in one dict and by name."""
    twice = sorted(set(inputs or ()) & set(named))
    if twice:
        raise ValueError(f"`inputs` must not name an input a second time. Received: {twice}")
    return {**(inputs or {}), **named}


def checked_seconds(name: str, seconds: float) -> float:
    """A positive number of seconds, not infinite."""
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < math.inf:
        raise ValueError(
            f"`{name}` must be seconds, above 0 and finite. Received: {name}={seconds!r}"
        )
    return seconds


def checked_in_flight(max_in_flight: int) -> int:
    """How many requests may wait for their answers at once."""
    if isinstance(max_in_flight, bool) or not isinstance(max_in_flight, int) or max_in_flight < 1:
        raise ValueError(
            f"`max_in_flight` must be 1 or more. Received: max_in_flight={max_in_flight!r}"
        )
    return max_in_flight


def decoded(call: Call, answer: bytes, address: str) -> Any:
    """The answer, or an error that says that the server sent something else."""
    try:
        return call.decode(answer)
    except ServingError as error:
        raise ServingError(error.code, error.message, address) from error
    except (
        *(DecodeError, ValueError, LookupError, TypeError, AttributeError),
        *(OverflowError, MemoryError, RecursionError),  # of numbers, sizes and nesting
    ) as error:
        raise ServingError(
            grpc.StatusCode.INTERNAL,
            f"the answer cannot be read: {' '.join(str(error).split())[:200]}",
            address,
        ) from error
