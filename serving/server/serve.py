"""A server as a program: until a signal ends it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading

from .model_server import run_model_server
from .options import ServerOptions
from .runtime import return_freed_memory
from .server import Server

ENGINES = ("polysemy", "tensorflow_model_server")


def serve_forever(
    directory: str | os.PathLike | None = None,
    port: int = 8500,
    rest_api_port: int | None = 8501,
    model_name: str | None = None,
    model_base_path: str | os.PathLike | None = None,
    engine: str = "polysemy",
    options: ServerOptions | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets the requests being answered finish. Before the
    models are loaded, SIGTERM ends the process at once.

    Args:
        directory: a model folder, or a folder of model folders.
        port: int. gRPC; 0 takes a free one, which is printed.
        rest_api_port: int. REST; likewise. None is off.
        model_name: str. Name for the only model. Default: its folder's.
        model_base_path: one model's folder, instead of `directory`, as TensorFlow Serving calls
            it; its name is then "default" unless `model_name` gives one.
        engine: "polysemy", or "tensorflow_model_server" to run that program in this one's place.
        options: ServerOptions, which then stand in place of all the arguments but `engine`.

    Raises:
        ValueError: if an argument is wrong, or no model can be loaded.
        OSError: if a port is in use, or the engine is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {ENGINES}. Received: engine={engine!r}")
    if options is None:
        if (directory is None) == (model_base_path is None):
            raise ValueError(
                "`directory` or `model_base_path` must be given, not both. "
                f"Received: directory={directory!r}, model_base_path={model_base_path!r}"
            )
        options = ServerOptions(
            directory=os.fspath(directory or ""),
            model_base_path=os.fspath(model_base_path or ""),
            port=port,
            rest_api_port=-1 if rest_api_port is None else rest_api_port,
            model_name=model_name or ("default" if model_base_path else ""),
            free_ports=True,
            max_num_load_retries=0 if engine == ENGINES[0] else 5,
        )
    if engine == "tensorflow_model_server":
        run_model_server(options)
        return
    _log_to_stderr()
    return_freed_memory()
    # What is here already stays: not to walk it whenever an unloaded version's memory is collected
    # keeps the pauses of the requests short.
    gc.collect()
    gc.freeze()
    server = Server(options=options)
    stop = threading.Event()
    # While models are loaded nobody waits for an answer. Without a handler the first process of a
    # container would not get the signal at all.
    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, lambda n, _: os._exit(128 + n))}
    try:
        available = server.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Only a flag: stopping takes locks that the interrupted code may hold.
            before = signal.signal(number, lambda *_: stop.set())
            previous.setdefault(number, before)
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


def _log_to_stderr() -> None:
    logger = logging.getLogger("polysemy")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        # Libraries give the root logger handlers of their own, which would write each line again.
        logger.propagate = False
    logger.setLevel(logging.INFO)
