"""Configuration files in protobuf's text format.

The wheel tensorflow-serving-api lacks the messages of three of them. They are declared here, with
TensorFlow Serving's names, so that one file configures both servers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

_PACKAGE = "tensorflow.serving"
_INT, _TEXT, _BOOL = (f".google.protobuf.{kind}Value" for kind in ("Int64", "String", "Bool"))
_MESSAGES: dict[str, tuple[tuple[str, str, int], ...]] = {  # name: (field, type, number)
    "BatchingParameters": (
        ("max_batch_size", _INT, 1),
        ("batch_timeout_micros", _INT, 2),
        ("max_enqueued_batches", _INT, 3),
        ("num_batch_threads", _INT, 4),
        ("thread_pool_name", _TEXT, 5),
        ("allowed_batch_sizes", "repeated int64", 6),
        ("pad_variable_length_inputs", "bool", 7),
        # These two have no published number that we know; text files do not show it.
        ("enable_large_batch_splitting", _BOOL, 8),
        ("max_execution_batch_size", _INT, 9),
    ),
    "PrometheusConfig": (("enable", "bool", 1), ("path", "string", 2)),
    "MonitoringConfig": (("prometheus_config", f".{_PACKAGE}.PrometheusConfig", 1),),
    "SSLConfig": (
        ("server_key", "string", 1),
        ("server_cert", "string", 2),
        ("custom_ca", "string", 3),
        ("client_verify", "bool", 4),
    ),
}


def _declare() -> dict[str, Any]:
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {"int64": kinds.TYPE_INT64, "bool": kinds.TYPE_BOOL, "string": kinds.TYPE_STRING}
    file = descriptor_pb2.FileDescriptorProto(
        name="polysemy/serving/server_config.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, rows in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, kind, number in rows:
            field = message.field.add(name=field_name, number=number)
            scalar = kind.removeprefix("repeated ")
            field.label = kinds.LABEL_OPTIONAL if scalar == kind else kinds.LABEL_REPEATED
            if scalar in scalars:
                field.type = scalars[scalar]
            else:
                field.type, field.type_name = kinds.TYPE_MESSAGE, scalar
    # A pool of its own: another library may bring TensorFlow Serving's own declarations.
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _declare()
BatchingParameters: Any = _CLASSES["BatchingParameters"]
PrometheusConfig: Any = _CLASSES["PrometheusConfig"]
MonitoringConfig: Any = _CLASSES["MonitoringConfig"]
SSLConfig: Any = _CLASSES["SSLConfig"]


def read_text_proto(path: str | os.PathLike, message: Any) -> Any:
    """Reads a text file into a message and returns it.

    Raises:
        ValueError: if the file cannot be read, or is not such a message; names file and line.

    Example:
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".config") as file:
    ...     print("max_batch_size { value: 128 }", file=file, flush=True)
    ...     read_text_proto(file.name, BatchingParameters()).max_batch_size.value
    128
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"`{path}` must be a readable text file. Received: {why}") from error
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        # The parser's text starts with "line:column : ".
        _line, _colon, reason = str(error).partition(" : ")
        where = f"{path}:{error.GetLine()}" if error.GetLine() is not None else str(path)
        raise ValueError(
            f"`{where}` must be a text proto {message.DESCRIPTOR.full_name}. "
            f"Received: {reason or error}"
        ) from error
