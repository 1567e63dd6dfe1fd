"""Runs `tensorflow_model_server`, TensorFlow Serving's own program, if it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from dataclasses import MISSING, fields

from google.protobuf import text_format

from ..protos import ModelServerConfig
from .model_config import configured_models
from .options import OURS, ServerOptions

PROGRAM = "tensorflow_model_server"
_OWN = ("port", "rest_api_port", "model_name", "model_base_path", "model_config_file")


def run_model_server(options: ServerOptions) -> None:
    """Replaces this process by `tensorflow_model_server`; it handles the signals, too.

    Raises:
        OSError: if the program is not on the PATH.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise OSError(
            f"`engine` must be installed: {PROGRAM} is not on the PATH. Install it, or serve "
            "with engine='polysemy'"
        )
    os.execv(program, model_server_command(program, options))


def model_server_command(program: str, options: ServerOptions) -> list[str]:
    """The program's command line; a directory of models needs a configuration file, written here.

    Flags at their defaults and those that are Polysemy's own are left out.

    Example:
    >>> options = ServerOptions(model_base_path="/m/elmo", model_name="elmo", enable_batching=True)
    >>> model_server_command("tms", options)[1:]  # doctest: +NORMALIZE_WHITESPACE
    ['--port=8500', '--rest_api_port=0', '--enable_batching=true', '--model_name=elmo',
    '--model_base_path=/m/elmo']
    """
    port, rest = options.port, max(options.rest_api_port, 0)
    if options.free_ports:
        # To that program 0 means no REST, and no gRPC port at all: choose here.
        port = port or _free_port()
        rest = _free_port() if options.rest_api_port == 0 else rest
    command = [program, f"--port={port}", f"--rest_api_port={rest}"]
    for flag in fields(ServerOptions):
        value = getattr(options, flag.name)
        default = flag.default if flag.default is not MISSING else 4 * (os.cpu_count() or 1)
        if flag.name in _OWN or flag.metadata["group"] == OURS or value == default:
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        command.append(f"--{flag.name}={text}")
    if options.model_config_file and not options.directory:
        return [*command, f"--model_config_file={options.model_config_file}"]
    configs = configured_models(options)
    if len(configs) == 1:
        (config,) = configs
        return [*command, f"--model_name={config.name}", f"--model_base_path={config.base_path}"]
    server_config = ModelServerConfig()
    server_config.model_config_list.config.extend(configs)
    # Not removed: the program that reads it takes this process's place.
    with tempfile.NamedTemporaryFile("w", suffix=".config", delete=False) as file:
        file.write(text_format.MessageToString(server_config))
    return [*command, f"--model_config_file={file.name}"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
