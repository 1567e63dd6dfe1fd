"""The gRPC port: limits, credentials and the services behind it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from .grpc_service import prediction_service
from .manager import ModelManager
from .model_service import model_service
from .options import ServerOptions

MAX_MESSAGE_BYTES = 2**31 - 1


def start_grpc(
    manager: ModelManager, options: ServerOptions, metrics: Any = None
) -> tuple[grpc.Server, int]:
    """Starts answering on the port of the options (0: a free one).

    Returns:
        The server and its port.

    Raises:
        OSError: if the port is in use.
    """
    server = grpc.server(
        ThreadPoolExecutor(options.grpc_max_threads, thread_name_prefix="grpc"),
        options=[
            # gRPC's own limit of 4 MiB is too small for tensors.
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", -1),
            # Without this, Linux lets two servers share a port, and each gets half the requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    # Services and calls that are not listed answer UNIMPLEMENTED.
    server.add_generic_rpc_handlers(
        (prediction_service(manager, options, metrics), model_service(manager))
    )
    port = options.port
    try:
        bound = server.add_insecure_port(f"0.0.0.0:{port}")
    except RuntimeError as error:
        raise OSError(f"`port` must be free. Received: port={port}, which is in use") from error
    server.start()
    return server, bound
