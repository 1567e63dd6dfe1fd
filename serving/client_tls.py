"""How a client proves and checks identities."""

from __future__ import annotations

import dataclasses
import os
import ssl
from pathlib import Path
from typing import Any

import grpc


@dataclasses.dataclass(frozen=True)
class TLS:
    """Files (PEM) of an encrypted connection; with a certificate of the client it is mutual.

    Args:
        authority: path. Certificates that the server's must descend from. Default: the system's.
        certificate: path. The client's own certificate, where the server wants one.
        key: path. Its private key.

    Raises:
        ValueError: if only one of `certificate` and `key` is given.
        OSError: if a file cannot be read.

    Example:
    >>> TLS().authority is None
    True
    """

    authority: str | os.PathLike | None = None
    certificate: str | os.PathLike | None = None
    key: str | os.PathLike | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError(
                "`certificate` and `key` must be given together. Received: "
                f"certificate={self.certificate!r}, key={self.key!r}"
            )
        for path in (self.authority, self.certificate, self.key):
            _read(path)  # now, not at the first request

    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC."""
        return grpc.ssl_channel_credentials(
            _read(self.authority), _read(self.key), _read(self.certificate)
        )

    def context(self) -> ssl.SSLContext:
        """For HTTPS."""
        cafile: Any = self.authority
        context = ssl.create_default_context(cafile=cafile)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


def _read(path: str | os.PathLike | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
