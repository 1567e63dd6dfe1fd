"""The gRPC port: limits, credentials and the services behind it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from .credentials import server_credentials
from .grpc_service import prediction_service
from .health import Health
from .manager import ModelManager
from .model_service import model_service
from .options import ServerOptions
from .reloading import ConfigReloader

MAX_MESSAGE_BYTES = 2**31 - 1


class GrpcServer:
    """Answers over gRPC, on a port, a Unix socket, or both.

    Args:
        manager: the models.
        reloader: takes in the configurations that clients send.
        options: port (0: a free one, with `free_ports`), socket, TLS, services, threads.
        metrics: where to count what happens, or None.
        access_log: where requests are written, or None.

    Raises:
        ValueError: if the options are wrong.
        OSError: if the port is in use.
    """

    def __init__(
        self,
        manager: ModelManager,
        reloader: ConfigReloader,
        options: ServerOptions,
        metrics: Any = None,
        access_log: Any = None,
    ) -> None:
        credentials = server_credentials(options)
        arguments = channel_arguments(options.grpc_channel_arguments)
        if not options.port and not options.grpc_socket_path and not options.free_ports:
            raise ValueError("`port` must be given, or `grpc_socket_path`. Received: port=0")
        self._server = grpc.server(
            ThreadPoolExecutor(options.grpc_max_threads, thread_name_prefix="grpc"),
            options=[
                # gRPC's own limit of 4 MiB is too small for tensors.
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", -1),
                # Without this, Linux lets two servers share a port, and each gets half the
                # requests.
                ("grpc.so_reuseport", 0),
                *arguments,
            ],
        )
        # Services and calls that are not listed answer UNIMPLEMENTED.
        self._server.add_generic_rpc_handlers(
            (
                prediction_service(manager, options, metrics, access_log),
                model_service(manager, reloader),
            )
        )
        self._health: Health | None = None
        if options.enable_grpc_healthcheck_service:
            self._health = Health()
            self._health.add_to(self._server)
        if options.enable_grpc_reflection:
            from .reflection import add_reflection

            add_reflection(self._server, self._health is not None)
        self.port = 0
        if options.port or options.free_ports:
            self.port = self._listen(f"0.0.0.0:{options.port}", credentials, "port", options.port)
        if options.grpc_socket_path:
            path = options.grpc_socket_path
            self._listen(f"unix:{path}", credentials, "grpc_socket_path", path)
        self._server.start()

    def stop(self, grace: float) -> threading.Event:
        """Refuses new calls; returns what is set when those being answered have ended.

        Args:
            grace: float. Seconds that they may take.
        """
        if self._health is not None:
            self._health.stop()
        return self._server.stop(grace)

    def _listen(self, address: str, credentials: Any, argument: str, value: Any) -> int:
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            why = "in use"
            if credentials is not None:
                why += ", or the certificate and key of `ssl_config_file` do not fit"
            raise OSError(
                f"`{argument}` must be free. Received: {argument}={value}, which is {why}"
            ) from error


def channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """Arguments for gRPC's core as TensorFlow Serving writes them; integers where they are such.

    Raises:
        ValueError: if a part is not `name=value`.

    Example:
    >>> channel_arguments("grpc.max_connection_age_ms=2000,grpc.primary_user_agent=zoo")
    [('grpc.max_connection_age_ms', 2000), ('grpc.primary_user_agent', 'zoo')]
    """
    arguments: list[tuple[str, int | str]] = []
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not name or not equals:
            raise ValueError(
                f"`grpc_channel_arguments` must be NAME=VALUE,NAME=VALUE. Received: {text!r}"
            )
        number = value.removeprefix("-").isdecimal()
        arguments.append((name, int(value) if number else value))
    return arguments
