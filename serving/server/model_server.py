"""Runs `tensorflow_model_server`, TensorFlow Serving's own program, if it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format

from ..protos import ModelServerConfig

PROGRAM = "tensorflow_model_server"


def run_model_server(models: Mapping[str, Path], port: int, rest_api_port: int | None) -> None:
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
    command = model_server_command(program, models, port, rest_api_port)
    os.execv(program, command)


def model_server_command(
    program: str, models: Mapping[str, Path], port: int, rest_api_port: int | None
) -> list[str]:
    """The program's command line; several models need a configuration file, which is written.

    Example:
    >>> model_server_command("tms", {"elmo": Path("/m/elmo")}, 8500, None)[1:3]
    ['--port=8500', '--rest_api_port=0']
    """
    # To that program 0 means no REST, and no gRPC port at all: choose here.
    port = port or _free_port()
    rest = 0 if rest_api_port is None else rest_api_port or _free_port()
    command = [program, f"--port={port}", f"--rest_api_port={rest}"]
    if len(models) == 1:
        name, path = next(iter(models.items()))
        return [*command, f"--model_name={name}", f"--model_base_path={path}"]
    config = ModelServerConfig()
    for name, path in models.items():
        config.model_config_list.config.add(
            name=name, base_path=str(path), model_platform="tensorflow"
        )
    # Not removed: the program that reads it takes this process's place.
    with tempfile.NamedTemporaryFile("w", suffix=".config", delete=False) as file:
        file.write(text_format.MessageToString(config))
    return [*command, f"--model_config_file={file.name}"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
