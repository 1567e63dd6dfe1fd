"""What changes the logits before a token is chosen. Shapes: B rows, V tokens, N places."""

import tensorflow as tf

NEVER = -1e9  # finite: a row in which nothing is allowed must not become NaN


def penalize(logits, tokens, lengths, generated, options, stop_tokens):
    """Applies the penalties and bans of `Sampling`.

    Args:
        logits: (B, V) float32.
        tokens: (B, N) int32. Prompt and what was generated, to each row's length.
        lengths: (B,) int32.
        generated: () int32. How many tokens were generated.
        options: dict of scalar tensors.
        stop_tokens: (S,) int32.

    Returns:
        (B, V) float32.
    """
    logits = tf.cond(
        options["repetition_penalty"] > 1.0,
        lambda: penalize_repetition(logits, tokens, lengths, options["repetition_penalty"]),
        lambda: logits,
    )
    logits = tf.cond(
        options["no_repeat_ngram"] > 0,
        lambda: ban_ngrams(logits, tokens, lengths, options["no_repeat_ngram"]),
        lambda: logits,
    )
    return tf.cond(
        generated < options["min_length"],
        lambda: ban_tokens(logits, stop_tokens),
        lambda: logits,
    )


def penalize_repetition(logits, tokens, lengths, penalty):
    """Divides the logits of tokens that are there by the penalty; multiplies negative ones."""
    present = tf.sequence_mask(lengths, tf.shape(tokens)[1])
    lowered = tf.where(logits < 0, logits * penalty, logits / penalty)
    found = tf.gather(lowered, tf.where(present, tokens, 0), axis=1, batch_dims=1)
    # The least of both: a penalty only ever lowers a logit.
    return _scatter_min(logits, tokens, tf.where(present, found, tf.float32.max))


def ban_ngrams(logits, tokens, lengths, size):
    """Bans each token that would end a sequence of `size` tokens which is there already."""
    width = tf.shape(tokens)[1]
    place = tf.range(width)
    # Token i would be repeated if the size - 1 tokens before it are the row's last ones.
    repeated = (place >= size - 1) & (place < lengths[:, None])

    def same_before(d, repeated):
        last = tf.gather(tokens, tf.maximum(lengths - d, 0)[:, None], axis=1, batch_dims=1)
        return d + 1, repeated & (tf.roll(tokens, d, axis=1) == last)

    # No longer than the row: the size is anybody's who asks a server.
    most = tf.minimum(size, width)
    _, repeated = tf.while_loop(lambda d, _: d < most, same_before, (1, repeated))
    return _scatter_min(logits, tokens, tf.where(repeated, NEVER, tf.float32.max))


def ban_tokens(logits, banned):
    """Makes tokens impossible: (B, V), (S,) -> (B, V)."""
    ids = tf.range(tf.shape(logits)[1])
    return tf.where(tf.reduce_any(ids[:, None] == banned, axis=1), NEVER, logits)


def _scatter_min(logits, tokens, limits):
    """Lowers the logits of `tokens` (B, N) to `limits` (B, N), where these are lower."""
    row = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, None], tf.shape(tokens))
    where = tf.stack([row, tf.maximum(tokens, 0)], axis=-1)
    return tf.tensor_scatter_nd_min(logits, where, limits)


def choose(logits, uniform, options):
    """One token a row: the best, or one drawn with a uniform number.

    Args:
        logits: (B, V) float32. uniform: (B,) float32 in [0, 1). options: dict of scalar tensors.

    Returns:
        (B,) int32.
    """
    return tf.cond(
        options["temperature"] > 0,
        lambda: _draw(logits / options["temperature"], uniform, options["top_k"], options["top_p"]),
        lambda: tf.argmax(logits, axis=1, output_type=tf.int32),
    )


def _draw(logits, uniform, top_k, top_p):
    return tf.cond(
        (top_k > 0) | (top_p < 1),
        lambda: _draw_from_best(logits, uniform, top_k, top_p),
        lambda: _inverse(tf.nn.softmax(logits), uniform),
    )


def _draw_from_best(logits, uniform, top_k, top_p):
    size = tf.shape(logits)[1]
    best, ids = tf.math.top_k(logits, tf.where(top_k > 0, tf.minimum(top_k, size), size))
    probabilities = tf.nn.softmax(best)
    before = tf.cumsum(probabilities, axis=1, exclusive=True)
    # Kept is the first token that crosses the border; with `top_p` 1 every one, despite rounding.
    kept = (before < top_p) | (top_p >= 1)
    place = _inverse(tf.where(kept, probabilities, 0.0), uniform)
    return tf.gather(ids, place[:, None], axis=1, batch_dims=1)[:, 0]


def _inverse(weights, uniform):
    """The place that a uniform number falls on: (B, K) weights, (B,) -> (B,) int32."""
    # In double precision: single would lose the rare tokens behind 50,000 others.
    total = tf.cumsum(tf.cast(weights, tf.float64), axis=1)
    target = tf.cast(uniform, tf.float64) * total[:, -1]
    place = tf.reduce_sum(tf.cast(total <= target[:, None], tf.int32), axis=1)
    # Rounding must not lead behind the last token that can be drawn.
    last = tf.reduce_max(tf.where(weights > 0, tf.range(tf.shape(weights)[1]), 0), axis=1)
    return tf.minimum(place, last)
