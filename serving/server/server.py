"""The model server: TensorFlow Serving's protocols in this process."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from .access_log import AccessLog
from .batching import Batching
from .config_protos import BatchingParameters, MonitoringConfig, read_text_proto
from .grpc_server import GrpcServer
from .manager import ModelManager
from .metrics import DEFAULT_PATH, ServerMetrics
from .model_config import configured_models
from .options import ServerOptions
from .poller import Poller
from .reloading import ConfigReloader
from .rest import RestServer, listening_socket
from .runtime import set_parallelism
from .servable import Servable
from .starting import load_models

LOGGER = logging.getLogger(__name__)


class Server:
    """Serves models over gRPC and REST as TensorFlow Serving does.

    The versions that each model's policy wants are loaded and run their warm-up requests before a
    port opens; then the folders are polled for new versions. Serves from threads of this process:
    for laptops, tests, notebooks.

    Args:
        directory: a model folder (numbered versions in it), or a folder of model folders.
        port: int. gRPC; 0 takes a free one.
        rest_api_port: int. REST; 0 takes a free one, None is off.
        model_name: str. Name for the only model. Default: its folder's.
        grace: float. Seconds that `stop` waits for requests being answered.
        options: ServerOptions, which then stand in place of all the arguments above.

    Raises:
        ValueError: by `start`, if there is no model or none can be loaded.
        OSError: by `start`, if a port is in use.

    Example:
    >>> import keras, tempfile
    >>> from polysemy.serving import Client, export
    >>> inputs = keras.Input((1,), name="x")
    >>> model = keras.Model(inputs, {"y": keras.layers.Rescaling(2.0)(inputs)})
    >>> folder = tempfile.mkdtemp()
    >>> _ = export(model, folder + "/doubler")
    >>> with Server(folder, port=0, rest_api_port=None) as server, Client(server.address) as client:
    ...     client.predict("doubler", x=[[21.0]])["y"].tolist()
    [[42.0]]
    """

    def __init__(
        self,
        directory: str | os.PathLike = "",
        port: int = 8500,
        rest_api_port: int | None = 8501,
        model_name: str | None = None,
        grace: float = 10.0,
        options: ServerOptions | None = None,
    ) -> None:
        if options is None:
            options = ServerOptions(
                directory=os.fspath(directory),
                port=port,
                rest_api_port=-1 if rest_api_port is None else rest_api_port,
                free_ports=True,
                model_name=model_name or "",
                shutdown_grace_seconds=grace,
                # Who starts a server by hand wants to know at once what is wrong; files that
                # change are tried again without this.
                max_num_load_retries=0,
            )
        self.options = options
        self.port = options.port
        rest = options.rest_api_port
        off = rest < 0 or (not rest and not options.free_ports) or (rest and rest == options.port)
        self.rest_api_port: int | None = None if off else rest
        self.manager: ModelManager | None = None
        self._grpc: GrpcServer | None = None
        self._rest: RestServer | None = None
        self._poller: Poller | None = None
        self._access_log: AccessLog | None = None
        self._stopped = threading.Event()

    @property
    def address(self) -> str:
        """Where this machine's gRPC clients find the server."""
        return f"localhost:{self.port}" if self.port else f"unix:{self.options.grpc_socket_path}"

    @property
    def rest_address(self) -> str:
        """The root of the REST routes, for this machine."""
        return f"http://localhost:{self.rest_api_port}/v1/models"

    def start(self) -> list[Servable]:
        """Loads the models, then opens the ports; returns the versions served."""
        options = self.options
        self._check_ports()
        set_parallelism(options)
        batching = _batching(options, self.rest_api_port is not None)
        metrics_path = _metrics_path(options)
        metrics = ServerMetrics()
        self.manager = ModelManager(configured_models(options), options, batching, metrics)
        reloader = ConfigReloader(self.manager)
        try:
            load_models(self.manager)
            self._access_log = AccessLog(options.access_log) if options.access_log else None
            self._grpc = GrpcServer(self.manager, reloader, options, metrics, self._access_log)
            self.port = self._grpc.port
            if self.rest_api_port is not None:
                self._rest = RestServer(
                    self.manager,
                    self.rest_api_port,
                    options.shutdown_grace_seconds,
                    options,
                    metrics,
                    metrics_path,
                    self._access_log,
                )
                self.rest_api_port = self._rest.port
        except (OSError, ValueError):
            self.stop()
            raise
        self._poller = Poller(self.manager, reloader)
        return self.manager.available()

    def _check_ports(self) -> None:
        """Finds out before the models are loaded, which takes long, what can be known by then."""
        for name, port in (("port", self.port), ("rest_api_port", self.rest_api_port)):
            if port:
                with listening_socket(port, name):
                    pass

    def stop(self) -> None:
        """Refuses new requests and waits up to the grace for those being answered."""
        if self._poller is not None:
            self._poller.stop()
        wait_for_calls = None
        if self._grpc is not None:
            wait_for_calls = self._grpc.stop(self.options.shutdown_grace_seconds)
        if self._rest is not None:
            self._rest.stop()
        if wait_for_calls is not None:
            wait_for_calls()
        if self.manager is not None:
            self.manager.close()
        if self._access_log is not None:
            self._access_log.close()
        self._poller = self._grpc = self._rest = self.manager = self._access_log = None
        self._stopped.set()

    def wait(self) -> None:
        """Blocks until another thread stops the server."""
        self._stopped.wait()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _batching(options: ServerOptions, rest: bool) -> Any:
    path = options.batching_parameters_file
    if path and not options.enable_batching:
        raise ValueError(
            "`batching_parameters_file` must come with `enable_batching`. "
            f"Received: batching_parameters_file={path!r} alone"
        )
    if not options.enable_batching:
        return None
    parameters = read_text_proto(path, BatchingParameters()) if path else BatchingParameters()
    batching = Batching.from_proto(parameters)  # what is wrong is said now, not for each version
    threads = options.rest_api_num_threads
    if rest and batching.batch_timeout_micros and batching.max_batch_size > threads:
        LOGGER.warning(
            "over REST alone, batches of %d fill up only if requests have several rows, and else "
            "wait %d us: a request occupies one of the %d threads of `--rest_api_num_threads` "
            "meanwhile",
            batching.max_batch_size,
            batching.batch_timeout_micros,
            threads,
        )
    return parameters


def _metrics_path(options: ServerOptions) -> str | None:
    if not options.monitoring_config_file:
        return None
    config = read_text_proto(options.monitoring_config_file, MonitoringConfig())
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None
