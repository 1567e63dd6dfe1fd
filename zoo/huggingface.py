"""Reads the weights of Hugging Face's folders, and writes such folders."""

import importlib
import json
from pathlib import Path
from typing import Any

from .safetensors_file import read_safetensors, write_safetensors
from .stored_tensor import StoredTensor


def read_tensors(folder, allow_pickle):
    """Every tensor of a folder by name, to be read one by one, and the path they came from.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: there are only pickled ones and `allow_pickle` is False, or a file is broken,
            the index of several files among them.
    """
    folder = Path(folder)
    for name, read in (
        ("model.safetensors", read_safetensors),
        ("pytorch_model.bin", _read_pickle),
    ):
        index = folder / f"{name}.index.json"
        files = [folder / name]
        if not files[0].is_file():  # which an index may have outlived
            if not index.is_file():
                continue
            files = [folder / shard for shard in _shards(index)]  # a model in several files
        if read is _read_pickle and not allow_pickle:
            raise ValueError(
                f"`allow_pickle` must be True to read {name}, of which then only tensors are "
                f"taken; a `model.safetensors` needs no such trust. Received: {str(folder)!r}"
            )
        tensors = {}
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"A part of the weights is not there: {file}")
            tensors.update(read(file))
        return tensors, str(files[0])
    raise FileNotFoundError(
        f"The folder must hold model.safetensors or pytorch_model.bin. Received: {str(folder)!r}"
    )


def _shards(index):
    """The names of the files that an index distributes the tensors to, sorted."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names or {type(x) for x in names.values()} != {str}:
        raise ValueError(
            f"{index.name} must have a `weight_map` from tensors to files. Received: {str(index)!r}"
        )
    return sorted(set(names.values()))


def _read_pickle(path):
    try:
        torch: Any = importlib.import_module("torch")  # not a dependency: for these files only
    except ImportError as error:
        raise ImportError(f"PyTorch must be installed to read {path.name}.") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {
            name: StoredTensor(tuple(tensor.shape), lambda t=tensor: t.detach().float().numpy())
            for name, tensor in found.items()
        }
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever the bytes make of a reader: UnpicklingError, struct.error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path.name} must be a whole file of PyTorch's that holds nothing but tensors. "
            f"Received: {str(path)!r} ({reason})"
        ) from error


def check_new(directory):
    """The path of a folder that may be written.

    Raises:
        FileExistsError: the folder is there and not empty.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(
            f"`directory` must be new or empty. Received: directory={str(directory)!r}"
        )
    return directory


def write_model(directory, tensors, config):
    """Writes `model.safetensors` and `config.json` to a folder, which is made."""
    directory.mkdir(parents=True, exist_ok=True)
    write_safetensors(directory / "model.safetensors", tensors, {"format": "pt"})
    write_json(directory / "config.json", config)


def write_json(path, content):
    """Writes a file as `transformers` does."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path):
    """The object in a JSON file.

    Raises:
        ValueError: it is no JSON in UTF-8, or no object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, no UTF-8
        raise ValueError(f"{path.name} must be JSON. Received: {str(path)!r} ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} must be a JSON object. Received: {str(path)!r}")
    return found


def read_config(name, folder):
    """The object in a folder's `config.json`.

    Args:
        name: str. The argument that the folder was given as, for messages.
        folder: Path.

    Raises:
        ValueError: the file is of one of this package's presets.
    """
    config = read_json(folder / "config.json")
    if "registered_name" in config:
        raise ValueError(
            f"`{name}` must be a published checkpoint; `from_preset` reads presets. Received: "
            f"{name}={str(folder)!r}, a preset"
        )
    return config
