"""Loads a version, and says in a line why it could not be."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError

from ..errors import ServingError
from .config_protos import BatchingParameters, read_text_proto
from .model_version import ModelVersion
from .options import ServerOptions
from .servable import Servable

PER_MODEL_BATCHING_FILE = "batching_params.pbtxt"
_CODES: tuple[tuple[type[BaseException], grpc.StatusCode], ...] = (
    (FileNotFoundError, grpc.StatusCode.NOT_FOUND),
    (PermissionError, grpc.StatusCode.PERMISSION_DENIED),
    (DecodeError, grpc.StatusCode.DATA_LOSS),
    (MemoryError, grpc.StatusCode.RESOURCE_EXHAUSTED),
)


def load_version(
    version: ModelVersion, options: ServerOptions, batching: Any = None, metrics: Any = None
) -> Servable:
    """Loads a version and runs its warm-up requests.

    Args:
        version: what to load; its `files` are set to what was there.
        options: the server's.
        batching: BatchingParameters of the server, or None.
        metrics: where to count what happens, or None.

    Raises:
        ValueError: if it cannot be read, fails to warm up, or its files change meanwhile.
    """
    version.files = fingerprint(version.path)
    if options.enable_per_model_batching_parameters:
        file = version.path / PER_MODEL_BATCHING_FILE
        batching = read_text_proto(file, BatchingParameters()) if file.is_file() else None
    servable = Servable(
        version.model, version.number, version.path, batching, options=options, metrics=metrics
    )
    if options.enable_model_warmup:
        servable.warm_up()
    if fingerprint(version.path) != version.files:
        # A copy that is not complete may load, with half a vocabulary.
        servable.unload()
        raise ValueError(
            "A version's files must be complete before its folder gets its name. "
            f"Received: {str(version.path)!r}, which changed while it was loaded"
        )
    return servable


def fingerprint(path: Path) -> frozenset[tuple[str, int, int]]:
    """The files of a folder with their sizes and times: unlike, if one was changed.

    Example:
    >>> fingerprint(Path("/nonexistent"))
    frozenset()
    """
    found = set()
    for folder, _, files in os.walk(path):
        for name in files:
            file = os.path.join(folder, name)
            try:
                status = os.stat(file)
            except OSError:  # gone between the listing and now
                continue
            found.add((file, status.st_size, status.st_mtime_ns))
    return frozenset(found)


def load_problem(error: BaseException, version: ModelVersion) -> tuple[int, str]:
    """The gRPC code of an error of loading, and one line that tells no path of this machine.

    Example:
    >>> version = ModelVersion("elmo", 2, Path("/models/elmo/2"))
    >>> load_problem(ValueError("'/models/elmo/2/saved_model.pb' is\\n cut"), version)
    (2, "'elmo/2/saved_model.pb' is cut")
    """
    code = grpc.StatusCode.UNKNOWN.value[0]
    cause: BaseException | None = error
    while cause is not None and code == grpc.StatusCode.UNKNOWN.value[0]:
        if isinstance(cause, ServingError):
            code = cause.code.value[0]
        elif isinstance(cause, tf.errors.OpError):
            code = getattr(cause, "error_code", code)
        else:
            kinds = (known.value[0] for kind, known in _CODES if isinstance(cause, kind))
            code = next(kinds, code)
        cause = cause.__cause__
    message = error.message if isinstance(error, ServingError) else str(error)
    text = " ".join(message.split()) or type(error).__name__
    return code, text.replace(str(version.path), f"{version.model}/{version.number}")


def give_memory_back() -> None:
    """Frees what an unloaded version leaves: objects in cycles, and the allocator's free pages."""
    gc.collect()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # glibc's; other C libraries give pages back themselves
            libc.malloc_trim(0)
