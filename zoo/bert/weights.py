"""Which of our variables is which of theirs, in the three formats that BERTs are published in.

`parts` says what a model consists of, once; `GOOGLE`, `HUGGING_FACE` and `MODEL_GARDEN` say how a
part is called and laid out there. `table` makes the rows that `assign_weights` reads.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ..checkpoints import Weight


class Part(NamedTuple):
    """One piece of a model.

    Attributes:
        name: what Google's program calls it; or a name for each format that has it, where they
            differ in more than their spelling.
        target: our path, without what `kind` adds to it.
        kind: "embedding", "norm", "dense", "attention" (query, key and value), "bias" or "scores"
            (a matrix of one row for each class).
    """

    name: str | Mapping[str, str]
    target: str
    kind: str


def encoder_parts(model, prefix="bert/"):
    """The parts of a `Bert` of any size.

    Args:
        model: `Bert`. prefix: str. In front of their names; "" in Hugging Face's bare encoders.
    """
    parts = [
        Part(f"{prefix}embeddings/word_embeddings", "embeddings/token_embeddings", "embedding"),
        Part(
            f"{prefix}embeddings/position_embeddings",
            "embeddings/position_embedding/embeddings",
            "embedding",
        ),
        Part(
            f"{prefix}embeddings/token_type_embeddings",
            "embeddings/segment_embeddings",
            "embedding",
        ),
        Part(f"{prefix}embeddings/LayerNorm", "embeddings/layer_norm", "norm"),
    ]
    for i in range(model.num_layers):
        theirs, ours = f"{prefix}encoder/layer_{i}", f"block_{i}"
        attention, feed_forward = f"{ours}/self_attention", f"{ours}/feed_forward"
        parts += [
            Part(f"{theirs}/attention/self", f"{attention}/qkv_", "attention"),
            Part(f"{theirs}/attention/output/dense", f"{attention}/output_", "dense"),
            Part(f"{theirs}/attention/output/LayerNorm", f"{attention}_norm", "norm"),
            Part(f"{theirs}/intermediate/dense", f"{feed_forward}/", "dense"),
            Part(f"{theirs}/output/dense", f"{feed_forward}/output_", "dense"),
            Part(f"{theirs}/output/LayerNorm", f"{feed_forward}_norm", "norm"),
        ]
    if model.pooling == "cls":
        parts.append(Part(f"{prefix}pooler/dense", "pooler/", "dense"))
    return parts


MASKED_LM_PARTS = (
    Part("cls/predictions/transform/dense", "masked_lm_head/transform_", "dense"),
    Part("cls/predictions/transform/LayerNorm", "masked_lm_head/layer_norm", "norm"),
    Part("cls/predictions/output_bias", "masked_lm_head/bias", "bias"),
)
NEXT_SENTENCE_PARTS = (Part("cls/seq_relationship", "next_sentence_head/", "scores"),)
#: Of a classifier of texts, and of one of tokens.
CLASSIFIER_PARTS = (Part({"google": "", "hugging_face": "classifier"}, "scores/", "scores"),)
SPAN_PARTS = (Part({"google": "cls/squad", "hugging_face": "qa_outputs"}, "scores/", "scores"),)


class Tensor(NamedTuple):
    """A tensor of theirs within a part.

    Attributes:
        names: their names; more than one if ours is made of several.
        target: path of our variable.
        read: their arrays to ours. None: they are the same.
        write: ours to theirs, one or a list of them. None: they are the same.
    """

    names: tuple[str, ...]
    target: str
    read: Callable[..., np.ndarray] | None = None
    write: Callable[[np.ndarray], list[np.ndarray]] | None = None


def google(part):
    """The tensors of a part in google-research/bert's checkpoints. Kernels are as ours."""
    name, target, kind = part
    name = name if isinstance(name, str) else name["google"]
    if kind in ("embedding", "bias"):
        return [Tensor((name,), target)]
    if kind == "norm":
        return [Tensor((f"{name}/{x}",), f"{target}/{x}") for x in ("gamma", "beta")]
    if kind == "scores":
        return [
            Tensor((f"{name}/output_weights".lstrip("/"),), f"{target}kernel", np.transpose),
            Tensor((f"{name}/output_bias".lstrip("/"),), f"{target}bias"),
        ]
    if kind == "dense":
        return [Tensor((f"{name}/{x}",), f"{target}{x}") for x in ("kernel", "bias")]
    return [
        Tensor(tuple(f"{name}/{q}/{x}" for q in ("query", "key", "value")), f"{target}{x}", _side)
        for x in ("kernel", "bias")
    ]


def hugging_face(part):
    """The tensors of a part in `transformers`: a linear layer's weight is transposed."""
    name, target, kind = part
    name = name if isinstance(name, str) else name["hugging_face"]
    name = name.replace("/layer_", "/layer.").replace("/", ".")
    if kind == "embedding":
        return [Tensor((f"{name}.weight",), target)]
    if kind == "bias":
        return [Tensor((name.replace("output_bias", "bias"),), target)]
    if kind == "norm":
        pairs = (("weight", "gamma"), ("bias", "beta"))
        return [Tensor((f"{name}.{x}",), f"{target}/{y}") for x, y in pairs]
    if kind in ("dense", "scores"):
        return [
            Tensor((f"{name}.weight",), f"{target}kernel", np.transpose, _transposed),
            Tensor((f"{name}.bias",), f"{target}bias"),
        ]
    names = [f"{name}.{q}" for q in ("query", "key", "value")]
    return [
        Tensor(
            tuple(f"{x}.weight" for x in names),
            f"{target}kernel",
            _transposed_side,
            _three_transposed,
        ),
        Tensor(tuple(f"{x}.bias" for x in names), f"{target}bias", _side, _three),
    ]


_GARDEN_NAMES = (
    ("bert/", ""),
    ("embeddings/word_embeddings", "word_embeddings/embeddings"),
    ("embeddings/token_type_embeddings", "type_embeddings/embeddings"),
    ("embeddings/position_embeddings", "position_embedding/embeddings"),
    ("embeddings/LayerNorm", "embeddings/layer_norm"),
    ("encoder/layer_", "transformer/layer_"),
    ("attention/self", "self_attention"),
    ("attention/output/dense", "self_attention/attention_output"),
    ("attention/output/LayerNorm", "self_attention_layer_norm"),
    ("intermediate/dense", "intermediate"),
    ("output/dense", "output"),
    ("output/LayerNorm", "output_layer_norm"),
    ("pooler/dense", "pooler_transform"),
    ("predictions/output_bias", "predictions/output_bias/bias"),
    ("cls/seq_relationship", "next_sentence/logits"),
)


def model_garden(part):
    """The tensors of a part in tf-models-official: one axis for heads, one for their features."""
    name, target, kind = part
    name = name if isinstance(name, str) else name["model_garden"]
    for theirs, garden in _GARDEN_NAMES:
        name = name.replace(theirs, garden)
    if kind in ("embedding", "bias"):
        return [Tensor((name,), target)]
    if kind == "norm":
        return [Tensor((f"{name}/{x}",), f"{target}/{x}") for x in ("gamma", "beta")]
    if kind in ("dense", "scores"):
        # The heads' outputs (H, d, D) are one axis of ours; a plain kernel has two already.
        return [
            Tensor((f"{name}/kernel",), f"{target}kernel", _rows_together),
            Tensor((f"{name}/bias",), f"{target}bias"),
        ]
    return [
        Tensor(
            tuple(f"{name}/{q}/{x}" for q in ("query", "key", "value")), f"{target}{x}", together
        )
        for x, together in (("kernel", _columns_together), ("bias", _flat_side))
    ]


FORMATS = {"google": google, "hugging_face": hugging_face, "model_garden": model_garden}


def table(parts, layout):
    """`Weight` rows for `assign_weights`: parts in one of `FORMATS`."""
    rows = []
    for part in parts:
        for tensor in FORMATS[layout](part):
            source = tensor.names[0] if len(tensor.names) == 1 else tensor.names
            rows.append(Weight(source, tensor.target, tensor.read))
    return rows


def _side(*arrays):
    return np.concatenate(arrays, axis=-1)


def _transposed_side(*arrays):
    return np.concatenate([np.transpose(array) for array in arrays], axis=1)


def _transposed(array):
    return [np.transpose(array)]


def _three(array):
    return np.split(array, 3, axis=-1)


def _three_transposed(array):
    return [np.transpose(part) for part in np.split(array, 3, axis=1)]


def _rows_together(array):
    return array.reshape(-1, array.shape[-1])


def _columns_together(*arrays):
    """Three of (D, H, d) to (D, 3 H d)."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def _flat_side(*arrays):
    return np.concatenate([array.reshape(-1) for array in arrays])
