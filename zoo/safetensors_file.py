"""Reads safetensors files, one tensor at a time."""

from functools import partial
from pathlib import Path

# Not used by name: it tells numpy of bfloat16.
import ml_dtypes  # noqa: F401
from safetensors import SafetensorError, safe_open

from .stored_tensor import StoredTensor


def read_safetensors(path):
    """The tensors of a file by name, as `StoredTensor`s; bfloat16 is read as float32.

    Raises:
        ValueError: it is no whole safetensors file.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"`{path.name}` must be a whole safetensors file. Received: {str(path)!r} ({error})"
        ) from error
    return {name: StoredTensor(shape, partial(_read, path, name)) for name, shape in shapes.items()}


def _read(path, name):
    # Opened for each: what the library maps into memory would stay there until it is closed.
    with safe_open(path, framework="np") as file:
        array = file.get_tensor(name)
    return array.astype("float32") if array.dtype == "bfloat16" else array
