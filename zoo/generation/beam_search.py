"""Beam search: the best of many continuations of each row."""

import tensorflow as tf

from .decoding import append, invariants
from .logits import penalize

_WORST = -1e8  # less than any log probability of tokens that are allowed; see `logits.NEVER`


def beam_search(step, logits, cache, tokens, lengths, options, stop_tokens):
    """Continues each row by the sequence of the highest score that the search finds.

    A row ends as soon as it has K finished sequences, or at `max_length`, where all count as
    finished. A sequence finishes where a stop token is among its row's best K continuations. The
    score is `log P / ((5 + length) / 6) ** alpha`, GNMT's, the stop token counted in both. One beam
    is greedy decoding. Penalties change the logits before they are normalized.

    Shapes: B rows, K beams, N places, V tokens, S stop tokens, C candidates.

    Args:
        step, logits, cache, tokens, lengths, options, stop_tokens: see `decode`. The function
            `step` is called with B K rows.

    Returns:
        tokens: (B, N) int32, filled to lengths: (B,) int32; scores: (B,) float32.
    """
    beams, max_length = options["num_beams"], options["max_length"]
    batch_size, width = tf.unstack(tf.shape(tokens))
    size = tf.shape(logits)[1]
    # Each beam has at most S continuations that stop, so among C are K that do not.
    candidates = tf.minimum(beams * (1 + tf.size(stop_tokens)), beams * size)
    prompt_lengths = lengths

    def penalty(length):
        return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** options["length_penalty"]

    def advance(n, logits, alive, finished, done):
        lengths = tf.repeat(prompt_lengths + n, beams)
        rows = tf.reshape(alive["tokens"], [-1, width])
        logits = penalize(logits, rows, lengths, n, options, stop_tokens)
        log_p = tf.reshape(tf.nn.log_softmax(logits), [batch_size, beams, size])
        totals = tf.reshape(alive["scores"][:, :, None] + log_p, [batch_size, -1])
        totals, flat = tf.math.top_k(totals, candidates)  # (B, C), best first
        parents, chosen = flat // size, flat % size
        stops = tf.reduce_any(chosen[:, :, None] == stop_tokens, axis=2)

        ends = stops & (tf.range(candidates) < beams) & ~done[:, None] & (totals > _WORST)
        finished = _best(
            finished,
            {
                "tokens": tf.gather(alive["tokens"], parents, axis=1, batch_dims=1),
                "scores": tf.where(ends, totals / penalty(n + 1), -tf.float32.max),
                "lengths": tf.fill(tf.shape(ends), n),
            },
            beams,
        )
        done |= tf.reduce_all(finished["scores"] > _WORST, axis=1)
        scores, order = tf.math.top_k(tf.where(stops, -tf.float32.max, totals), beams)
        parents = tf.gather(parents, order, axis=1, batch_dims=1)
        chosen = tf.gather(chosen, order, axis=1, batch_dims=1)
        rows = tf.reshape(tf.gather(alive["tokens"], parents, axis=1, batch_dims=1), [-1, width])
        rows = append(rows, lengths, tf.reshape(chosen, [-1]), tf.ones_like(lengths, tf.bool))
        alive = {
            "tokens": tf.reshape(rows, [batch_size, beams, width]),
            "scores": tf.maximum(scores, 10 * _WORST),  # sums must not run away to -inf
        }
        parents = tf.reshape(parents + tf.range(batch_size)[:, None] * beams, [-1])
        return tf.reshape(chosen, [-1]), parents, alive, finished, done

    def body(n, chosen, parents, cache, alive, finished, done):
        cache = tf.nest.map_structure(lambda x: tf.gather(x, parents), cache)
        logits, cache = step(chosen[:, None], cache, tf.repeat(prompt_lengths + n - 1, beams))
        chosen, parents, alive, finished, done = advance(n, logits, alive, finished, done)
        return n + 1, chosen, parents, cache, alive, finished, done

    def more(n, chosen, parents, cache, alive, finished, done):
        return (n < max_length) & ~tf.reduce_all(done)

    first = tf.where(tf.range(beams) == 0, 0.0, 10 * _WORST)  # the beams begin as one
    worst = tf.fill([batch_size, beams], -tf.float32.max)
    rows = tf.tile(tokens[:, None], [1, beams, 1])
    state = advance(
        tf.constant(0),
        tf.repeat(logits, beams, axis=0),
        {"tokens": rows, "scores": tf.tile(first[None], [batch_size, 1])},
        {"tokens": rows, "scores": worst, "lengths": tf.zeros_like(worst, tf.int32)},
        tf.zeros([batch_size], tf.bool),
    )
    cache = tf.nest.map_structure(lambda x: tf.repeat(x, beams, axis=0), cache)
    state = (tf.constant(1), *state[:2], cache, *state[2:])
    state = tf.while_loop(more, body, state, shape_invariants=invariants(state))
    n, _, _, _, alive, finished, done = state
    scores = tf.where(done[:, None], -tf.float32.max, alive["scores"] / penalty(n))
    alive = {**alive, "scores": scores, "lengths": tf.fill(tf.shape(scores), n)}
    best = {name: value[:, 0] for name, value in _best(finished, alive, 1).items()}
    return best["tokens"], prompt_lengths + best["lengths"], best["scores"]


def _best(these, those, number):
    """The `number` sequences of the highest scores among two dicts of them, best first."""
    both = {name: tf.concat([these[name], those[name]], axis=1) for name in these}
    _, order = tf.math.top_k(both["scores"], number)
    return {name: tf.gather(value, order, axis=1, batch_dims=1) for name, value in both.items()}
