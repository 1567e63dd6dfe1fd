"""The file that makes a folder a SavedModel: saved_model.pb, or its text form, which TensorFlow 1
may write in its place."""

from __future__ import annotations

import os
from pathlib import Path

BINARY, TEXT = "saved_model.pb", "saved_model.pbtxt"


def has_saved_model(folder: str | os.PathLike) -> bool:
    """Whether a folder is a SavedModel.

    Example:
    >>> has_saved_model("/nonexistent")
    False
    """
    return any((Path(folder) / name).is_file() for name in (BINARY, TEXT))


def read_saved_model(folder: str | os.PathLike) -> bytes:
    """The serialized `SavedModel` of a folder. TensorFlow is imported for the text form only.

    Raises:
        FileNotFoundError: if the folder has none.
        OSError: if it cannot be read.

    Example:
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp())
    >>> _ = (path / TEXT).write_text("saved_model_schema_version: 1")
    >>> read_saved_model(path)
    b'\\x08\\x01'
    """
    folder = Path(folder)
    if (folder / BINARY).is_fifo():
        raise OSError(f"{folder / BINARY} is no file")  # to read it would wait for a writer
    if (folder / BINARY).is_file() or not (folder / TEXT).is_file():
        return (folder / BINARY).read_bytes()
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        return parse_saved_model(str(folder)).SerializeToString()
    except UnicodeDecodeError as error:
        raise OSError(f"Cannot parse file {folder / TEXT}: {error}") from error
