"""What a served tagger answers."""

import tensorflow as tf


def tag_strings(tags, outputs, inputs):
    """Names the tags: `tokens` and `tags` (B, L) string, "" at padding, `probabilities` (B, L) float32."""
    mask = inputs["padding_mask"]
    names = tf.gather(tf.constant(tags), outputs["tag_ids"])
    best = tf.gather(outputs["probabilities"], outputs["tag_ids"], batch_dims=2)
    return {
        "tokens": inputs["tokens"],
        "tags": tf.where(mask, names, ""),
        "probabilities": tf.where(mask, best, 0.0),
    }
