"""What a biLM hands out: its named outputs, and the names that TF Hub's module gave them."""

from keras import ops


def representations(words, mask_with_boundaries, mask, bidirectional_lm, mixes):
    """Word vectors with boundaries to the named outputs of the backbone, boundaries removed."""
    lm = bidirectional_lm(words, padding_mask=mask_with_boundaries)
    real = ops.expand_dims(mask, -1)  # (B, L, 1)
    tokens = ops.where(real, words[:, 1:-1], 0.0)
    layers = [ops.concatenate([tokens, tokens], axis=-1)]
    for forward, backward in zip(lm["forward"], lm["backward"], strict=True):
        both = ops.concatenate([forward[:, 1:-1], backward[:, 1:-1]], axis=-1)
        layers.append(ops.where(real, both, 0.0))  # the end row stands where padding begins
    layer_outputs = ops.stack(layers, axis=1)  # (B, K, L, 2P)
    outputs = {"token_output": tokens, "layer_outputs": layer_outputs}
    for i, mix in enumerate(mixes):
        name = f"sequence_output_{i}" if i else "sequence_output"
        outputs[name] = mix(layer_outputs, padding_mask=mask)
    return outputs


def hub_outputs(outputs, padding_mask):
    """Renames a biLM's outputs as TF Hub's `elmo` module named them, and adds the sentence mean."""
    elmo = outputs["sequence_output"]
    mask = ops.cast(ops.expand_dims(padding_mask, -1), elmo.dtype)
    count = ops.maximum(ops.sum(mask, axis=1), 1.0)  # a sentence without tokens has the mean zero
    named = {
        "word_emb": outputs["token_output"],
        "elmo": elmo,
        "default": ops.sum(elmo * mask, axis=1) / count,
        "sequence_output": elmo,
        "mask": ops.cast(padding_mask, "int32"),
    }
    for k in range(1, outputs["layer_outputs"].shape[1]):
        named[f"lstm_outputs{k}"] = outputs["layer_outputs"][:, k]
    return named
