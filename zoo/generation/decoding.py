"""Greedy decoding and drawing: one token a row and step."""

import tensorflow as tf

from .logits import choose, penalize


def decode(step, logits, cache, tokens, lengths, options, stop_tokens, seeds):
    """Continues each row until a stop token or `max_length` tokens.

    A row's draws depend on its own seed and on nothing else in the batch.

    Shapes: B rows, N places (prompt and room for the answer), V tokens, S stop tokens.

    Args:
        step: function of (token_ids (B, 1), cache, index (B,)) to (logits (B, V), cache).
        logits: (B, V). What follows the prompts.
        cache: nest of tensors. After the prompts.
        tokens: (B, N) int32. The prompts, on the left.
        lengths: (B,) int32. Of the prompts.
        options: dict of scalar tensors, see `Sampling`.
        stop_tokens: (S,) int32.
        seeds: (B,) int64.

    Returns:
        tokens: (B, N) int32, filled to `lengths`: (B,) int32; without the stop tokens.
        scores: (B,) float32. The log probability of what was added, the stop token included, by the
            model's own distribution.
    """
    max_length = options["max_length"]
    uniform = uniforms(seeds, max_length)  # (B, max_length)

    def advance(n, logits, tokens, lengths, scores, done):
        changed = penalize(logits, tokens, lengths, n, options, stop_tokens)
        chosen = choose(changed, tf.gather(uniform, n, axis=1), options)
        log_probability = tf.gather(logits, chosen[:, None], axis=1, batch_dims=1)[:, 0]
        log_probability -= tf.reduce_logsumexp(logits, axis=1)
        scores += tf.where(done, 0.0, log_probability)
        done |= tf.reduce_any(chosen[:, None] == stop_tokens, axis=1)
        tokens, at = append(tokens, lengths, chosen, ~done), lengths
        return chosen, at, tokens, lengths + tf.cast(~done, tf.int32), scores, done

    def body(n, chosen, at, cache, tokens, lengths, scores, done):
        logits, cache = step(chosen[:, None], cache, at)
        chosen, at, *rest = advance(n, logits, tokens, lengths, scores, done)
        tokens, lengths, scores, done = rest
        return n + 1, chosen, at, cache, tokens, lengths, scores, done

    def more(n, chosen, at, cache, tokens, lengths, scores, done):
        return (n < max_length) & ~tf.reduce_all(done)

    nothing = tf.zeros_like(lengths)
    chosen, at, *rest = advance(
        tf.constant(0), logits, tokens, lengths, tf.cast(nothing, tf.float32), nothing > 0
    )
    state = (tf.constant(1), chosen, at, cache, *rest)
    state = tf.while_loop(more, body, state, shape_invariants=invariants(state))
    return state[4:7]


def uniforms(seeds, count):
    """(B,) int64 seeds -> (B, count) float32 in [0, 1): a longer row begins as a shorter one."""
    return tf.map_fn(
        lambda seed: tf.random.stateless_uniform([count], tf.stack([seed, 0]), alg="philox"),
        seeds,
        fn_output_signature=tf.TensorSpec([None], tf.float32),
    )


def append(tokens, lengths, new, where):
    """Writes `new` (B,) behind each row's tokens (B, N) if `where` (B,) says so."""
    here = (tf.range(tf.shape(tokens)[1]) == lengths[:, None]) & where[:, None]
    return tf.where(here, new[:, None], tokens)


def invariants(state):
    """The shapes of a loop's state, for which no step may differ: those known, but the batch."""
    return tf.nest.map_structure(
        lambda x: tf.TensorShape([None, *x.shape[1:]]) if x.shape.rank else x.shape, state
    )
