"""Reads published GPT-2s and GPTs: OpenAI's files and Hugging Face's folders."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...layers.initializers import weights_without_values
from ..checkpoints import assign_weights, check_num_layers
from ..huggingface import read_config, read_json, read_tensors
from ..json_entries import number_problem
from ..stored_tensor import StoredTensor
from .layouts import LAYOUTS, weight_table
from .vocabulary import read_vocabulary

# What files hold beside the weights: buffers of masks, and heads of other tasks.
EXTRA = re.compile(
    r"h\.\d+\.attn\.(bias|masked_bias)$|(score|classifier|qa_outputs|multiple_choice_head)\."
)
# Hugging Face's "gelu" is exact for GPT-2 and the approximation for GPT.
ACTIVATIONS = {
    "gpt2": {
        "gelu_new": "gelu_tanh",
        "gelu_pytorch_tanh": "gelu_tanh",
        "gelu": "gelu",
        "relu": "relu",
    },
    "openai-gpt": {"gelu": "gelu_tanh", "gelu_new": "gelu_tanh", "relu": "relu"},
}


class Checkpoint(NamedTuple):
    """What was read.

    Attributes:
        layout: a key of `LAYOUTS`.
        arguments: of the `GPT2` that it is, without the vocabulary.
        tensors: name to array or `StoredTensor`.
        origin: the path of the weights.
    """

    layout: str
    arguments: dict[str, Any]
    tensors: Mapping[str, np.ndarray | StoredTensor]
    origin: str


def load_checkpoint(cls, directory, allow_pickle, overrides):
    """Builds a `cls` and sets its weights; see `GPT2.from_checkpoint`."""
    directory = Path(directory)
    checkpoint = read_checkpoint(directory, allow_pickle)
    arguments = {**checkpoint.arguments, **overrides}
    # GPT's own vocabulary is of another kind: words that end in "</w>", not bytes.
    if "vocabulary" not in overrides and arguments["norm"] == "pre":
        arguments = {**arguments, **read_vocabulary(directory)}
        tokens = arguments.get("vocabulary")
        if tokens is not None and len(tokens) != arguments["vocabulary_size"]:
            raise ValueError(
                "The vocabulary must have one token for each token vector. Received: "
                f"{len(tokens)} tokens, {arguments['vocabulary_size']} vectors in "
                f"{checkpoint.origin}. To read ids, not text, pass vocabulary=None"
            )
    check_num_layers(arguments["num_layers"], checkpoint.tensors, checkpoint.origin)
    with weights_without_values():
        model = cls(**arguments)
    assign_weights(
        model.weights,
        checkpoint.tensors,
        weight_table(model, checkpoint.layout),
        origin=checkpoint.origin,
        ignore=lambda name: bool(EXTRA.match(name)),
    )
    return model


def read_checkpoint(directory, allow_pickle=False):
    """Finds out what a folder holds and reads it.

    Raises:
        FileNotFoundError, ValueError: see `GPT2.from_checkpoint`.
    """
    directory = Path(directory)
    if (directory / "hparams.json").is_file():
        return _read_tensorflow(directory)
    if (directory / "params_shapes.json").is_file():
        return _read_arrays(directory)
    if (directory / "config.json").is_file():
        return _read_hugging_face(directory, allow_pickle)
    raise FileNotFoundError(
        "`directory` must hold `hparams.json` with `model.ckpt`, `params_shapes.json` with its "
        f"arrays, or `config.json` with weights. Received: directory={str(directory)!r}"
    )


def _read_tensorflow(directory):
    # Here, so that the other formats are read where there is no TensorFlow.
    from ..tensorflow_checkpoint import read_tensorflow_checkpoint

    theirs = read_json(directory / "hparams.json")
    arguments = _arguments(theirs, directory / "hparams.json", ("n_vocab", "n_ctx"))
    path = directory / "model.ckpt"
    tensors = read_tensorflow_checkpoint(path)
    return Checkpoint("openai", {**arguments, "norm": "pre"}, tensors, str(path))


def _read_arrays(directory):
    """GPT's: all numbers in ten files, in the order of a list of shapes."""
    path = directory / "params_shapes.json"
    shapes = json.loads(path.read_text(encoding="utf-8"))
    files = [directory / f"params_{i}.npy" for i in range(10)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"`directory` must hold {', '.join(missing)}. Received: {path}")
    flat = np.concatenate([np.load(file, allow_pickle=False).ravel() for file in files])
    sizes = [int(np.prod(shape)) for shape in shapes]
    if (len(shapes) - 2) % 12 or sum(sizes) != len(flat):
        raise ValueError(
            "`params_shapes.json` must list two tables and 12 arrays a layer, as many numbers as "
            f"the files have. Received: {len(shapes)} shapes of {sum(sizes)} numbers, files of "
            f"{len(flat)}"
        )
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    names = LAYOUTS["arrays"].names_in_order((len(shapes) - 2) // 12)
    width = int(shapes[1][-1])
    arguments = {
        "vocabulary_size": int(shapes[1][0]),
        "max_length": int(shapes[0][0]),
        "hidden_dim": width,
        "num_layers": (len(shapes) - 2) // 12,
        "num_heads": max(width // 64, 1),  # heads of 64, which the files do not say
        "norm": "post",
    }
    return Checkpoint("arrays", arguments, dict(zip(names, arrays, strict=True)), str(path))


def _read_hugging_face(directory, allow_pickle):
    path = directory / "config.json"
    config = read_config("directory", directory)
    kind = config.get("model_type", "gpt2")
    if kind not in [*ACTIVATIONS]:  # which may be of any type
        raise ValueError(
            f"`config.json` must be of model_type {' or '.join(ACTIVATIONS)}. Received: "
            f"model_type={kind!r} in {str(path)!r}"
        )
    positions = "n_positions" if "n_positions" in config else "n_ctx"
    arguments = _arguments(config, path, ("vocab_size", positions))
    activation = config.get("activation_function", config.get("afn", "gelu_new"))
    problems = [
        f"{name} must be {wanted}, not {config[name]!r}"
        for name, wanted in (
            ("scale_attn_weights", True),
            ("scale_attn_by_inverse_layer_idx", False),
            ("add_cross_attention", False),
            ("tie_word_embeddings", True),
        )
        if config.get(name, wanted) != wanted
    ]
    inner = config.get("n_inner") or 4 * config["n_embd"]
    rates = {name: config.get(name, 0.1) for name in ("resid_pdrop", "attn_pdrop")}
    epsilon = config.get("layer_norm_epsilon", 1e-5)
    found = [number_problem(name, rate, "rate") for name, rate in rates.items()]
    found.append(number_problem("n_inner", inner, "whole"))
    found.append(number_problem("layer_norm_epsilon", epsilon, "positive"))
    problems += [problem for problem in found if problem]
    if activation not in [*ACTIVATIONS[kind]]:
        problems.append(f"the activation must be one of {[*ACTIVATIONS[kind]]}, not {activation!r}")
    if problems:
        raise ValueError(
            f"The configuration must be one of GPT-2. Received: {str(path)!r}, in which "
            + "; ".join(problems)
        )
    arguments |= {
        "norm": "pre" if kind == "gpt2" else "post",
        "activation": ACTIVATIONS[kind][activation],
        "intermediate_dim": inner,
        "layer_norm_epsilon": epsilon,
        "dropout": rates["resid_pdrop"],
        "attention_dropout": rates["attn_pdrop"],
    }
    tensors, origin = read_tensors(directory, allow_pickle)
    tensors = {name.removeprefix("transformer."): array for name, array in tensors.items()}
    head = tensors.get("lm_head.weight")
    tied = LAYOUTS[kind].tokens
    if head is not None and tied in tensors and np.array_equal(head, tensors[tied]):
        del tensors["lm_head.weight"]  # the token vectors once more
    return Checkpoint(kind, arguments, tensors, origin)


def _arguments(config, path, sizes):
    """Constructor arguments out of a configuration; all that is wrong in it at once."""
    names = {
        "vocabulary_size": sizes[0],
        "max_length": sizes[1],
        "hidden_dim": "n_embd",
        "num_heads": "n_head",
        "num_layers": "n_layer",
    }
    found = {ours: config.get(theirs) for ours, theirs in names.items()}
    wrong = [number_problem(names[ours], value, "whole") for ours, value in found.items()]
    problems = [problem for problem in wrong if problem]
    if not problems and found["hidden_dim"] % found["num_heads"]:
        problems.append("n_embd must be divisible by n_head")
    if problems:
        raise ValueError(
            f"{path.name} must describe a GPT-2. Received: {str(path)!r}, in which "
            + "; ".join(problems)
        )
    return found
