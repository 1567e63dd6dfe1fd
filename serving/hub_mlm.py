"""TF Hub's part `mlm`: an encoder that also scores the tokens at chosen positions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .hub_names import from_hub_inputs, hub_input_specs, with_hub_outputs
from .reusable_part import ReusablePart

OURS, THEIRS = "mask_positions", "masked_lm_positions"


def mlm_part(model: Any, specs: dict[str, tf.TensorSpec]) -> tuple[ReusablePart, list] | None:
    """The part and the specs to trace it for, or None where the model has no `masked_lm`.

    It takes `input_word_ids`, `input_mask`, `input_type_ids`, int32 (B, L), and
    `masked_lm_positions`, int32 (B, P); it returns what an encoder returns, and `mlm_logits`,
    float32 (B, P, V).

    Args:
        model: with the hook `masked_lm(inputs, training)`: the model's inputs -> the encoder's
            outputs and `mlm_logits`.
        specs: of the model's inputs.

    Reference: TF Hub's "Common SavedModel APIs for Text".
    """
    hook = getattr(model, "masked_lm", None)
    if hook is None:
        return None
    graph = tf.function(hook, autograph=False)
    encoder = {name: spec for name, spec in specs.items() if name != OURS}

    def function(inputs: Any, training: Any) -> dict[str, Any]:
        positions = tf.cast(inputs[THEIRS], specs[OURS].dtype)
        features = {**from_hub_inputs(inputs, encoder), OURS: positions}
        return with_hub_outputs(graph(features, training), features)

    positions = tf.TensorSpec(specs[OURS].shape, tf.int32, name=THEIRS)
    return ReusablePart(function), [{**hub_input_specs(encoder), THEIRS: positions}]
