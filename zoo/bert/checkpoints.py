"""Reads published BERTs: Google's, Hugging Face's and TensorFlow Model Garden's."""

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
from .vocabulary import read_vocabulary
from .weights import encoder_parts, table

#: Our argument, their key, the rule for its value. They are the same in all three formats.
OPTIONS = (
    ("vocabulary_size", "vocab_size", "whole"),
    ("hidden_dim", "hidden_size", "whole"),
    ("num_layers", "num_hidden_layers", "whole"),
    ("num_heads", "num_attention_heads", "whole"),
    ("intermediate_dim", "intermediate_size", "whole"),
    ("max_length", "max_position_embeddings", "whole"),
    ("num_segments", "type_vocab_size", "whole"),
    ("dropout", "hidden_dropout_prob", "rate"),
    ("attention_dropout", "attention_probs_dropout_prob", "rate"),
)
#: What a checkpoint may hold beside the model that is asked for: state of training, buffers, and
#: heads, which are read by the class that has them.
EXTRA = re.compile(
    r"global_step$|.*/adam_[mv]$|(bert\.)?embeddings\.position_ids$"
    r"|cls[./]|classifier\.|qa_outputs\.|next_sentence/|output_(weights|bias)$"
)
#: The masked LM's own copies of what is tied there, and what they are copies of.
TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
#: Where a checkpoint of objects says which of its keys is which variable.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Unlike Google's program, whose "gelu" is the approximation, PyTorch computes it exactly.
_EXACT = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
ACTIVATIONS = {
    "hugging_face": {**_EXACT, "relu": "relu"},
    "google": {"gelu": "gelu_tanh", "relu": "relu"},
    "model_garden": {"gelu": "gelu_tanh", "relu": "relu"},
}


class Checkpoint(NamedTuple):
    """What was read.

    Attributes:
        layout: "google", "hugging_face" or "model_garden".
        arguments: of the `Bert` that it is.
        tensors: name to `StoredTensor`.
        config: their configuration, as it was read.
        origin: the path of the weights.
    """

    layout: str
    arguments: dict[str, Any]
    tensors: Mapping[str, StoredTensor]
    config: dict[str, Any]
    origin: str


def load_checkpoint(cls, path, allow_pickle, overrides):
    """Builds a `cls` and sets its weights; see `Bert.from_checkpoint`."""
    checkpoint = read_checkpoint(path, allow_pickle)
    model = build(cls, checkpoint, overrides)
    assign(model, checkpoint)
    return model


def build(cls, checkpoint, overrides):
    """An encoder as the configuration says. Its weights have no values until `assign`."""
    arguments = {**checkpoint.arguments, **overrides}
    vocabulary, size = arguments.get("vocabulary"), arguments["vocabulary_size"]
    if vocabulary is not None and len(vocabulary) != size and "vocabulary_size" not in overrides:
        unused = (
            ". If vectors beyond the vocabulary are meant to be unused, pass "
            f"vocabulary_size={size}, to a head in `backbone`"
        )
        raise ValueError(
            "The vocabulary must have one piece for each token vector. Received: "
            f"{len(vocabulary)} pieces, {size} vectors in {checkpoint.origin}"
            + (unused if len(vocabulary) < size else "")
        )
    check_num_layers(arguments["num_layers"], checkpoint.tensors, checkpoint.origin)
    with weights_without_values():
        return cls(**arguments)


def assign(model, checkpoint, head=(), head_parts=()):
    """Sets an encoder's weights, and those of a head if it has any."""
    prefix = "bert/"
    if checkpoint.layout == "hugging_face":
        bare = not any(name.startswith("bert.") for name in checkpoint.tensors)
        prefix = "" if bare else prefix
    parts = [*encoder_parts(model, prefix), *head_parts]
    rows = table(parts, checkpoint.layout)
    guesses = any(part.target == "masked_lm_head/bias" for part in head_parts)
    pooler = re.compile(r"(bert[./])?(pooler[./]|pooler_transform/)")
    assign_weights(
        [*model.weights, *(weight for layer in head for weight in layer.weights)],
        checkpoint.tensors,
        rows,
        origin=checkpoint.origin,
        ignore=lambda name: bool(
            (EXTRA.match(name) and not (guesses and _is_untied(name, checkpoint.tensors)))
            or (model.pooling != "cls" and pooler.match(name))
        ),
    )


def _is_untied(name, tensors):
    """Whether a tensor of the masked LM is one of its own, where ours has the encoder's."""
    tied = tensors.get(TIED.get(name))
    return tied is not None and not np.array_equal(tensors[name], tied)


def read_checkpoint(path, allow_pickle=False):
    """Finds out what `path` is and reads it.

    Raises:
        FileNotFoundError, ValueError: see `Bert.from_checkpoint`.
    """
    path = Path(path)
    if (path / "bert_config.json").is_file() or Path(f"{path}.index").is_file():
        return _read_tensorflow(path)
    if (path / "config.json").is_file():
        return _read_hugging_face(path, allow_pickle)
    raise FileNotFoundError(
        "`path` must be a folder with `config.json` or `bert_config.json`, or the prefix of a "
        f"TensorFlow checkpoint. Received: path={str(path)!r}"
    )


def _read_hugging_face(folder, allow_pickle):
    config = read_config("path", folder)
    kind = config.get("model_type", "bert")
    positions = config.get("position_embedding_type", "absolute")
    if kind != "bert" or positions != "absolute" or config.get("is_decoder"):
        raise ValueError(
            "`config.json` must be of a BERT encoder with absolute positions. Received: "
            f"model_type={kind!r}, position_embedding_type={positions!r}, "
            f"is_decoder={config.get('is_decoder', False)}"
        )
    tensors, origin = read_tensors(folder, allow_pickle)
    names = ("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")
    for old, new in names:  # of the first versions
        tensors = {name.replace(old, new): x for name, x in tensors.items()}
    pooled = any(name.endswith("pooler.dense.weight") for name in tensors)
    return _checkpoint("hugging_face", config, folder, tensors, pooled, origin)


def _read_tensorflow(path):
    # Here, so that the other formats are read where there is no TensorFlow.
    from ..tensorflow_checkpoint import read_tensorflow_checkpoint

    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        found = sorted(file.with_suffix("") for file in path.glob("*.index"))
        if len(found) != 1:
            raise ValueError(
                "`path` must be a folder with one TensorFlow checkpoint, or its prefix. Received: "
                f"path={str(path)!r} with {[prefix.name for prefix in found]}"
            )
        path = found[0]
    config = _read_json(folder / "bert_config.json")
    tensors = read_tensorflow_checkpoint(path)
    if OBJECT_GRAPH not in tensors:
        training = re.compile(r".*/adam_[mv]$|global_step$")
        tensors = {name: x for name, x in tensors.items() if not training.match(name)}
        pooled = "bert/pooler/dense/kernel" in tensors
        return _checkpoint("google", config, folder, tensors, pooled, str(path))
    tensors = _garden_tensors(tensors)
    pooled = "pooler_transform/kernel" in tensors
    return _checkpoint("model_garden", config, folder, tensors, pooled, str(path))


def _garden_tensors(by_key):
    """Tensors by the variables' names: the keys follow the objects, which differ from version to
    version.
    """
    from tensorflow.core.protobuf import trackable_object_graph_pb2 as graph_proto

    graph: Any = graph_proto.TrackableObjectGraph()
    graph.ParseFromString(by_key[OBJECT_GRAPH].read())
    scope = re.compile(
        r"^(?:[^/]+/)*?(?=(?:word_embeddings|position_embedding|type_embeddings|pooler_transform|cls"
        r"|next_sentence)/|embeddings/layer_norm/|transformer/layer_\d+/)"
    )
    tensors = {}
    for node in graph.nodes:
        for attribute in node.attributes:
            key, name = attribute.checkpoint_key, attribute.full_name
            if re.match(r"(optimizer|save_counter|global_step)", key) or ".OPTIMIZER_SLOT" in key:
                continue
            tensors[scope.sub("", name)] = by_key[key]
    for end in ("kernel", "bias"):
        # With the head for next sentences, that is where the trained pooler is.
        trained = tensors.pop(f"next_sentence/pooler_dense/{end}", None)
        if trained is not None:
            tensors[f"pooler_transform/{end}"] = trained
    return tensors


def _checkpoint(layout, config, folder, tensors, pooled, origin):
    arguments = {
        **_arguments(config, layout, folder),
        **read_vocabulary(folder),
        "pooling": "cls" if pooled else None,
    }
    return Checkpoint(layout, arguments, tensors, config, origin)


def _arguments(config, layout, folder):
    """Constructor arguments out of a configuration; all that is wrong in it at once."""
    arguments, problems = {}, []
    for ours, theirs, rule in OPTIONS:
        value = config.get(theirs)
        missing = f"{theirs} is missing" if value is None else None
        problems.append(missing or number_problem(theirs, value, rule))
        arguments[ours] = value
    arguments["layer_norm_epsilon"] = config.get("layer_norm_eps", 1e-12)
    problems.append(number_problem("layer_norm_eps", arguments["layer_norm_epsilon"], "positive"))
    problems = [problem for problem in problems if problem]
    activation = config.get("hidden_act")
    if activation not in [*ACTIVATIONS[layout]]:  # which may be of any type
        problems.append(f"hidden_act must be one of {[*ACTIVATIONS[layout]]}, not {activation!r}")
    if problems:
        raise ValueError(
            f"The configuration must be one of BERT. Received: {str(folder)!r}, where "
            + "; ".join(problems)
        )
    arguments["activation"] = ACTIVATIONS[layout][activation]
    return arguments


def _read_json(path):
    if not path.is_file():
        raise FileNotFoundError(f"The checkpoint must have its {path.name}. Received: {path}")
    return read_json(path)
