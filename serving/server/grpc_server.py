"""The gRPC port: limits, credentials and the services behind it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from .credentials import server_credentials
from .event_loop import EventLoop
from .grpc_service import PredictionService
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
        threads = ThreadPoolExecutor(options.grpc_max_threads, thread_name_prefix="grpc")

        def services() -> tuple[grpc.GenericRpcHandler, ...]:
            return (
                PredictionService(manager, options, threads, metrics, access_log),
                model_service(manager, reloader, threads),
            )

        self._health = Health() if options.enable_grpc_healthcheck_service else None
        self._loop = EventLoop("grpc")
        try:
            starting = self._start(services, options, credentials, arguments)
            self.port = self._loop.submit(starting).result()
        except BaseException:
            self._loop.close()
            raise

    async def _start(
        self,
        services: Callable[[], tuple[grpc.GenericRpcHandler, ...]],
        options: ServerOptions,
        credentials: Any,
        arguments: list[tuple[str, int | str]],
    ) -> int:
        self._server = grpc.aio.server(
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
        self._server.add_generic_rpc_handlers(services())
        if self._health is not None:
            self._health.add_to(self._server)
        if options.enable_grpc_reflection:
            from .reflection import add_reflection

            add_reflection(self._server, self._health is not None)
        port = 0
        try:
            if options.port or options.free_ports:
                port = self._listen(f"0.0.0.0:{options.port}", credentials, "port", options.port)
            if options.grpc_socket_path:
                path = options.grpc_socket_path
                self._listen(f"unix:{path}", credentials, "grpc_socket_path", path)
            await self._server.start()
        except BaseException:
            await self._server.stop(None)
            raise
        return port

    def stop(self, grace: float) -> Callable[[], None]:
        """Refuses new calls; returns what waits until those being answered have ended.

        Args:
            grace: float. Seconds that they may take.
        """
        stopping = self._loop.submit(self._stop(grace))

        def wait() -> None:
            stopping.result()
            self._loop.close()

        return wait

    async def _stop(self, grace: float) -> None:
        if self._health is not None:
            self._health.stop()
        await self._server.stop(grace)

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
