"""Writes folders that `transformers` loads."""

import keras
import numpy as np

from ..added_tokens import tokenizer_entry
from ..huggingface import check_new, write_json, write_model
from ..text.byte_pair_files import END_OF_TEXT, write_byte_pairs
from .layouts import weight_table

_ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu"}


def save_as_huggingface(model, directory):
    """Writes `config.json`, `model.safetensors` and, with a vocabulary, the tokenizer's files.

    Args:
        model: `GPT2`, with `norm="pre"`.
        directory: new or empty.

    Raises:
        FileExistsError: the folder is there and not empty.
        ValueError: `transformers` has no such model.
    """
    directory = check_new(directory)
    if model.norm != "pre" or model.activation not in _ACTIVATIONS:
        raise ValueError(
            f'The model must have `norm="pre"` and an activation of {sorted(_ACTIVATIONS)}. '
            f"Received: norm={model.norm!r}, activation={model.activation!r}"
        )
    by_path = {variable.path: variable for variable in model.weights}
    tensors = {
        f"transformer.{row.source}": np.ascontiguousarray(
            keras.ops.convert_to_numpy(by_path[row.target]), "float32"
        )
        for row in weight_table(model, "gpt2")
    }
    vocabulary = model.vocabulary
    end = vocabulary.index(END_OF_TEXT) if vocabulary and END_OF_TEXT in vocabulary else None
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": model.vocabulary_size,
        "n_positions": model.max_length,
        "n_embd": model.hidden_dim,
        "n_layer": model.num_layers,
        "n_head": model.num_heads,
        "n_inner": model.intermediate_dim,
        "activation_function": _ACTIVATIONS[model.activation],
        "layer_norm_epsilon": model.layer_norm_epsilon,
        "embd_pdrop": model.dropout,
        "resid_pdrop": model.dropout,
        "attn_pdrop": model.attention_dropout,
        "bos_token_id": end,
        "eos_token_id": end,
        "tie_word_embeddings": True,
    }
    write_model(directory, tensors, config)
    if vocabulary is not None:
        write_byte_pairs(directory, vocabulary, model.merges)
        special = {} if end is None else {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
        tokenizer = {
            "tokenizer_class": "GPT2Tokenizer",
            "model_max_length": model.max_length,
            **special,
            **tokenizer_entry(model.specials, vocabulary),
        }
        write_json(directory / "tokenizer_config.json", tokenizer)
