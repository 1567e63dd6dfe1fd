"""Reads safetensors files, one tensor at a time, and writes them."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path

# Not used by name: it tells numpy of bfloat16.
import ml_dtypes  # noqa: F401
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .stored_tensor import StoredTensor


def read_safetensors(path):
    """The tensors of a file by name, as `StoredTensor`s; bfloat16 is read as float32.

    Raises:
        ValueError: it is no whole safetensors file; when a tensor is read, it is no longer, or the
            tensor has a type that numpy has not.
    """
    path = Path(path)
    with _whole(path) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    return {name: StoredTensor(shape, partial(_read, path, name)) for name, shape in shapes.items()}


def _read(path, name):
    # Opened for each: what the library maps into memory would stay there until it is closed.
    with _whole(path) as file:
        array = file.get_tensor(name)
    return array.astype("float32") if array.dtype == "bfloat16" else array


def write_safetensors(path, arrays, metadata=None):
    """Writes arrays by name, for everybody who may read what this process writes.

    The library alone lets nobody but the owner read its files.
    """
    path = Path(path)
    path.touch()
    mode = path.stat().st_mode
    save_file(arrays, path, metadata=metadata)
    path.chmod(mode)


@contextmanager
def _whole(path):
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except (SafetensorError, AttributeError) as error:  # the second of a type that numpy has not
        raise ValueError(
            f"`{path.name}` must be a whole safetensors file of numpy's types. Received: "
            f"{str(path)!r} ({error})"
        ) from error
