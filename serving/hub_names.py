"""TF Hub's names for what encoders take and return, beside Polysemy's own.

Reference: TF Hub's "Common SavedModel APIs for Text".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

INPUTS = {  # ours: theirs, of transformer encoders
    "token_ids": "input_word_ids",
    "padding_mask": "input_mask",
    "segment_ids": "input_type_ids",
}


def takes_hub_inputs(specs: Mapping[str, Any], preprocessor: Any) -> bool:
    """Whether a model is a transformer encoder in TF Hub's sense, with a preprocessor that packs.

    Example:
    >>> takes_hub_inputs({"character_ids": None, "padding_mask": None}, object())
    False
    """
    inputs = {"token_ids", "padding_mask"} <= set(specs) <= set(INPUTS)
    return inputs and hasattr(preprocessor, "pack")


def to_hub_inputs(features: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Polysemy's inputs as TF Hub's: three int32 (B, L) tensors, segments 0 where there are none.

    Example:
    >>> mask = tf.constant([[True, False]])
    >>> inputs = to_hub_inputs({"token_ids": tf.constant([[2, 0]]), "padding_mask": mask})
    >>> {name: value.numpy().tolist() for name, value in inputs.items()}
    {'input_word_ids': [[2, 0]], 'input_mask': [[1, 0]], 'input_type_ids': [[0, 0]]}
    """
    segments = features.get("segment_ids", tf.zeros_like(features["token_ids"]))
    features = {**features, "segment_ids": segments}
    return {theirs: tf.cast(features[ours], tf.int32) for ours, theirs in INPUTS.items()}


def from_hub_inputs(inputs: Mapping[str, Any], specs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """TF Hub's inputs as those that the model takes, in its dtypes; others pass as they are."""
    if INPUTS["token_ids"] not in inputs:
        return dict(inputs)
    return {name: tf.cast(inputs[INPUTS[name]], spec.dtype) for name, spec in specs.items()}


def hub_input_specs(specs: Mapping[str, tf.TensorSpec]) -> dict[str, tf.TensorSpec]:
    """The specs of TF Hub's inputs to a model with these."""
    shape = specs["token_ids"].shape
    return {theirs: tf.TensorSpec(shape, tf.int32, name=theirs) for theirs in INPUTS.values()}


def with_hub_outputs(outputs: Any, features: Mapping[str, Any]) -> Any:
    """Adds the outputs that TF Hub's encoders have, where they follow from what the model returns.

    `default` (B, D) is `pooled_output`, or else the mean of `sequence_output` over the tokens.
    `encoder_outputs` is the list of the transformer layers' (B, L, D), of `layer_outputs`
    (B, K, L, D) all but the first, which is the embedding.

    Args:
        outputs: of the model; only a dict is looked at.
        features: dict. What the model read; `padding_mask` (B, L) weighs the mean.

    Example:
    >>> outputs = {"pooled_output": tf.zeros((2, 4)), "layer_outputs": tf.zeros((2, 3, 5, 4))}
    >>> named = with_hub_outputs(outputs, {})
    >>> named["default"].shape, len(named["encoder_outputs"])
    (TensorShape([2, 4]), 2)
    """
    if not isinstance(outputs, dict):
        return outputs
    named: dict[str, Any] = dict(outputs)
    pooled, sequence = named.get("pooled_output"), named.get("sequence_output")
    mask, layers = features.get("padding_mask"), named.get("layer_outputs")
    if "default" not in named:
        if pooled is not None:
            named["default"] = pooled
        elif sequence is not None and sequence.shape.rank == 3 and mask is not None:
            named["default"] = _mean(sequence, mask)
    if pooled is not None and layers is not None and layers.shape[1] is not None:
        named.setdefault("encoder_outputs", tf.unstack(layers, axis=1)[1:])
    return named


def _mean(sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    weights = tf.cast(mask, sequence.dtype)[..., tf.newaxis]
    count = tf.maximum(tf.reduce_sum(weights, 1), 1)  # of no token the mean is zero
    return tf.reduce_sum(sequence * weights, 1) / count
