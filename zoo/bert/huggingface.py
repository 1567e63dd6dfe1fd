"""Hugging Face's folders: their tensors, and folders that `transformers` loads."""

import json
from pathlib import Path

import keras
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .weights import encoder_parts, hugging_face

_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}


def read_tensors(folder, allow_pickle):
    """Every tensor of a folder, and the path they came from.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: there are only pickled ones and `allow_pickle` is False, or a file is broken.
    """
    folder = Path(folder)
    for name, read in (("model.safetensors", _read_safe), ("pytorch_model.bin", _read_pickle)):
        index = folder / f"{name}.index.json"
        files = [folder / name]
        if index.is_file():  # a model in several files
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            files = [folder / shard for shard in sorted(set(shards))]
        elif not files[0].is_file():
            continue
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


def _read_safe(path):
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"`{path.name}` must be a whole safetensors file. Received: {str(path)!r} ({error})"
        ) from error


def _read_pickle(path):
    import pickle

    try:
        import torch
    except ImportError as error:
        raise ImportError(f"PyTorch must be installed to read {path.name}.") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} must hold nothing but tensors. Received: {str(path)!r} "
            f"({str(error).splitlines()[0]})"
        ) from error
    return {name: tensor.to(torch.float32).numpy() for name, tensor in found.items()}


def save(model, directory, architecture="BertModel", head_parts=(), **config):
    """Writes `config.json`, `model.safetensors` and, with a vocabulary, the tokenizer's files.

    Args:
        model: `Bert`, or a task around one, whose weights are looked up by path.
        directory: new or empty.
        architecture: str. The class of `transformers` that it is written for.
        head_parts: parts of the head, see `weights`.
        **config: further entries of `config.json`.

    Raises:
        FileExistsError: the folder is there and not empty.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(
            f"`directory` must be new or empty. Received: directory={str(directory)!r}"
        )
    bert = getattr(model, "backbone", model)
    parts = [*encoder_parts(bert, "" if bert is model else "bert/"), *head_parts]
    by_path = {variable.path: variable for variable in model.weights}
    tensors = {}
    for part in parts:
        for names, target, _, write in hugging_face(part):
            array = np.asarray(keras.ops.convert_to_numpy(by_path[target]), "float32")
            arrays = [array] if write is None else write(array)
            for name, each in zip(names, arrays, strict=True):
                tensors[name] = np.ascontiguousarray(each)
    directory.mkdir(parents=True, exist_ok=True)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    _write_json(
        directory / "config.json", {**_config(bert), "architectures": [architecture], **config}
    )
    if bert.vocabulary is not None:
        pieces = "\n".join(bert.vocabulary) + "\n"
        (directory / "vocab.txt").write_bytes(pieces.encode("utf-8"))
        options = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": bert.lowercase,
            "model_max_length": bert.max_length,
        }
        _write_json(directory / "tokenizer_config.json", options)


def _config(bert):
    return {
        "model_type": "bert",
        "vocab_size": bert.vocabulary_size,
        "hidden_size": bert.hidden_dim,
        "num_hidden_layers": bert.num_layers,
        "num_attention_heads": bert.num_heads,
        "intermediate_size": bert.intermediate_dim,
        "hidden_act": _ACTIVATIONS[bert.activation],
        "hidden_dropout_prob": bert.dropout,
        "attention_probs_dropout_prob": bert.attention_dropout,
        "max_position_embeddings": bert.max_length,
        "type_vocab_size": bert.num_segments,
        "layer_norm_eps": bert.layer_norm_epsilon,
        "initializer_range": 0.02,
        "pad_token_id": bert.vocabulary.index("[PAD]") if bert.vocabulary else 0,
    }


def _write_json(path, content):
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
