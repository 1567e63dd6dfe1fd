"""The model server: TensorFlow Serving's protocols in this process."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from .folders import find_models
from .grpc_server import start_grpc
from .manager import ModelManager
from .model_server import run_model_server
from .options import ServerOptions
from .rest import RestServer
from .servable import Servable

ENGINES = ("polysemy", "tensorflow_model_server")


class Server:
    """Serves models over gRPC (Predict, GetModelMetadata, GetModelStatus) and REST.

    The newest version of each model is loaded and runs its warm-up requests before a port opens.
    Serves from threads of this process: for laptops, tests, notebooks.

    Args:
        directory: a model folder (numbered versions in it), or a folder of model folders.
        port: int. gRPC; 0 takes a free one.
        rest_api_port: int. REST; 0 takes a free one, None is off.
        model_name: str. Name for the only model. Default: its folder's.
        grace: float. Seconds that `stop` waits for requests being answered.

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
        directory: str | os.PathLike,
        port: int = 8500,
        rest_api_port: int | None = 8501,
        model_name: str | None = None,
        grace: float = 10.0,
    ) -> None:
        self.directory = Path(directory)
        self.port = port
        self.rest_api_port = rest_api_port
        self.model_name = model_name
        self.grace = grace
        self._grpc: Any = None
        self._rest: RestServer | None = None
        self._stopped = threading.Event()

    @property
    def address(self) -> str:
        """Where this machine's gRPC clients find the server."""
        return f"localhost:{self.port}"

    @property
    def rest_address(self) -> str:
        """The root of the REST routes, for this machine."""
        return f"http://localhost:{self.rest_api_port}/v1/models"

    def start(self) -> list[Servable]:
        """Loads the models, then opens the ports; returns the versions served."""
        manager = ModelManager(find_models(self.directory, self.model_name))
        available = manager.load()
        self._grpc, self.port = start_grpc(manager, ServerOptions(port=self.port))
        if self.rest_api_port is not None:
            try:
                self._rest = RestServer(manager, self.rest_api_port, self.grace)
            except OSError:
                self.stop()
                raise
            self.rest_api_port = self._rest.port
        return available

    def stop(self) -> None:
        """Refuses new requests and waits up to `grace` seconds for those being answered."""
        stopping = self._grpc.stop(self.grace) if self._grpc is not None else None
        if self._rest is not None:
            self._rest.stop()
        if stopping is not None:
            stopping.wait()
        self._grpc = self._rest = None
        self._stopped.set()

    def wait(self) -> None:
        """Blocks until another thread stops the server."""
        self._stopped.wait()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_forever(
    directory: str | os.PathLike | None = None,
    port: int = 8500,
    rest_api_port: int | None = 8501,
    model_name: str | None = None,
    model_base_path: str | os.PathLike | None = None,
    engine: str = "polysemy",
) -> None:
    """Serves until SIGTERM or SIGINT, then lets the requests being answered finish.

    Args:
        directory: a model folder, or a folder of model folders.
        port: int. gRPC; 0 takes a free one, which is printed.
        rest_api_port: int. REST; likewise. None is off.
        model_name: str. Name for the only model. Default: its folder's.
        model_base_path: one model's folder, instead of `directory`, as TensorFlow Serving calls
            it; its name is then "default" unless `model_name` gives one.
        engine: "polysemy", or "tensorflow_model_server" to run that program in this one's place.

    Raises:
        ValueError: if an argument is wrong, or no model can be loaded.
        OSError: if a port is in use, or the engine is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {ENGINES}. Received: engine={engine!r}")
    if directory is not None and model_base_path is None:
        folder = directory
    elif directory is None and model_base_path is not None:
        folder, model_name = model_base_path, model_name or "default"
    else:
        raise ValueError(
            "`directory` or `model_base_path` must be given, not both. "
            f"Received: directory={directory!r}, model_base_path={model_base_path!r}"
        )
    if engine == "tensorflow_model_server":
        run_model_server(find_models(folder, model_name), port, rest_api_port)
        return
    logging.getLogger("polysemy").addHandler(logging.StreamHandler(sys.stderr))
    server = Server(folder, port, rest_api_port, model_name)
    available = server.start()
    stop = threading.Event()
    # Signals only set a flag: stopping takes locks that the interrupted code may hold.
    previous = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        for servable in available:
            print(f"Serving {servable.name}, version {servable.version}.")
        rest = f", REST {server.rest_address}" if server.rest_api_port is not None else ""
        print(f"gRPC {server.address}{rest}. Stop with Ctrl-C.", flush=True)
        stop.wait()
        print("Stopping.", flush=True)
    finally:
        server.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
