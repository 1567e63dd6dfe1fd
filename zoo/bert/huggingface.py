"""Writes folders that `transformers` loads."""

import keras
import numpy as np

from ..added_tokens import tokenizer_entry
from ..huggingface import check_new, write_json, write_model
from .backbone import Bert
from .weights import encoder_parts, hugging_face

_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}


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
        ValueError: `transformers` has no such model.
    """
    bert = getattr(model, "backbone", model)
    _check(bert, pooled=getattr(model, "uses", None) == "pooled_output")
    directory = check_new(directory)
    parts = [*encoder_parts(bert, "" if bert is model else "bert/"), *head_parts]
    by_path = {variable.path: variable for variable in model.weights}
    tensors = {}
    for part in parts:
        for names, target, _, write in hugging_face(part):
            array = np.asarray(keras.ops.convert_to_numpy(by_path[target]), "float32")
            arrays = [array] if write is None else write(array)
            for name, each in zip(names, arrays, strict=True):
                tensors[name] = np.ascontiguousarray(each)
    config = {**_config(bert), "architectures": [architecture], **config}
    write_model(directory, tensors, config)
    if bert.vocabulary is not None:
        pieces = "\n".join(bert.vocabulary) + "\n"
        (directory / "vocab.txt").write_bytes(pieces.encode("utf-8"))
        options = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": bert.lowercase,
            "model_max_length": bert.max_length,
            **tokenizer_entry(bert.specials, bert.vocabulary),
        }
        write_json(directory / "tokenizer_config.json", options)


def _check(bert, pooled):
    """Refuses what `transformers` would take for a different model.

    Args:
        bert: the encoder. pooled: bool. Whether a head reads its `pooled_output`.
    """
    if not isinstance(bert, Bert):
        raise ValueError(
            f"`backbone` must be a Bert for Hugging Face. Received: a {type(bert).__name__}"
        )
    if pooled and bert.pooling != "cls":
        raise ValueError(
            '`pooling` must be "cls" for Hugging Face, whose classifier has no other. Received: '
            f"pooling={bert.pooling!r}"
        )
    if bert.causal:
        raise ValueError(
            "`causal` must be False for Hugging Face, whose encoder sees the whole text. Received: "
            f"causal={bert.causal}"
        )
    if bert.activation not in _ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {sorted(_ACTIVATIONS)} for Hugging Face. Received: "
            f"activation={bert.activation!r}"
        )


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
