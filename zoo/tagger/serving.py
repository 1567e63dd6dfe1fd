"""What a served tagger answers."""

import tensorflow as tf


def tag_strings(tags, outputs, tokens, mask):
    """`tokens` and `tags` (B, L) string, "" at padding; `probabilities` of the tags (B, L) float32.

    Args:
        tags: list of str.
        outputs: dict. Of the tagger.
        tokens: (B, L) string. mask: (B, L) bool, True at words.
    """
    names = tf.gather(tf.constant(tags), outputs["tag_ids"])
    best = tf.gather(outputs["probabilities"], outputs["tag_ids"], batch_dims=2)
    return {
        "tokens": tokens,
        "tags": tf.where(mask, names, ""),
        "probabilities": tf.where(mask, best, 0.0),
    }
