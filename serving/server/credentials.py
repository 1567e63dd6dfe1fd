"""TLS on the gRPC port."""

from __future__ import annotations

from typing import Any

import grpc

from .config_protos import SSLConfig, read_text_proto
from .options import ServerOptions


def server_credentials(options: ServerOptions) -> Any:
    """The credentials of `ssl_config_file`, or None without one: then the port is not encrypted.

    With `client_verify`, clients must show a certificate that `custom_ca` has signed.

    Raises:
        ValueError: if the file is wrong, or asks for what cannot be.

    Example:
    >>> print(server_credentials(ServerOptions()))
    None
    """
    if options.use_alts_credentials:
        # To ignore this one would leave the port open.
        raise ValueError("`use_alts_credentials` must be false here. Use `ssl_config_file`")
    path = options.ssl_config_file
    if not path:
        return None
    config = read_text_proto(path, SSLConfig())
    pairs = {"server_key": "PRIVATE KEY-----", "server_cert": "BEGIN CERTIFICATE-----"}
    if config.client_verify:
        pairs["custom_ca"] = "BEGIN CERTIFICATE-----"
    for field, mark in pairs.items():
        if mark not in getattr(config, field):
            raise ValueError(f"`{field}` of {path} must be PEM text. Received: none in it")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
