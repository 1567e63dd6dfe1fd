"""Hides tokens of a text for a masked language model to guess, anew each time it is called."""

import tensorflow as tf


def mask_tokens(
    token_ids,
    padding_mask,
    candidates,
    seed,
    mask_id,
    vocabulary_size,
    max_predictions,
    rate=0.15,
    mask_rate=0.8,
    random_rate=0.1,
    continues=None,
):
    """Chooses tokens and replaces them: 80 % by [MASK], 10 % by any token, 10 % by themselves.

    Of a row of n tokens, the special ones counted, `min(max_predictions, max(1, round(n rate)))`
    are chosen, as far as there are as many candidates.

    Shapes: B rows, L tokens, P max_predictions.

    Args:
        token_ids: (B, L) int32. padding_mask: (B, L) bool, True at tokens.
        candidates: (B, L) bool. What may be chosen: no padding, [CLS] or [SEP].
        seed: (2,) int. The same seed chooses the same.
        mask_id: int. [MASK].
        vocabulary_size: int. Random tokens are drawn below it.
        max_predictions: int. P.
        rate: float. Part of the tokens that is chosen.
        mask_rate, random_rate: floats. Parts of the chosen that become [MASK] and a random token.
        continues: (B, L) bool or None. True at pieces that go on with the word before them: then
            whole words are chosen (and their pieces replaced one by one), and a word that has more
            pieces than are still to be chosen is passed over. None chooses each piece by itself.

    Returns:
        dict: `token_ids` (B, L) int32 as the model shall see them; `mask_positions` (B, P) int32,
        ascending, 0 in slots left over; `mask_ids` (B, P) int32, the true tokens there, 0 likewise;
        `mask_weights` (B, P) float32, 1 at positions, 0 in slots left over.

    Example:
    >>> ids = tf.constant([[2, 10, 11, 12, 13, 14, 15, 16, 3, 0]])
    >>> masked = mask_tokens(ids, ids > 0, ids > 3, [1, 2], 4, 20, max_predictions=3, rate=0.2)
    >>> masked["mask_weights"].numpy().tolist()
    [[1.0, 1.0, 0.0]]

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3.1 and appendix
    A.1; whole words as in google-research/bert's `create_pretraining_data.py`.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"`rate` must be in (0, 1]. Received: rate={rate}")
    if min(mask_rate, random_rate) < 0 or mask_rate + random_rate > 1 + 1e-9:
        raise ValueError(
            "`mask_rate` and `random_rate` must not be negative and at most 1 together. "
            f"Received: mask_rate={mask_rate}, random_rate={random_rate}"
        )
    if max_predictions < 1:
        raise ValueError(
            f"`max_predictions` must be at least 1. Received: max_predictions={max_predictions}"
        )
    token_ids = tf.convert_to_tensor(token_ids, tf.int32)
    shape = tf.shape(token_ids)
    seeds = tf.random.split(seed, 3)
    length = tf.reduce_sum(tf.cast(padding_mask, tf.float32), axis=1)
    number = tf.clip_by_value(tf.cast(tf.round(length * rate), tf.int32), 1, max_predictions)
    scores = tf.random.stateless_uniform(shape, seeds[0])
    if continues is None:
        chosen = candidates & (_ranks(scores, candidates) < number[:, None])
    else:
        chosen = _whole_words(scores, candidates, continues, number)

    # Chosen positions first, in their order.
    column = tf.broadcast_to(tf.range(shape[1])[None], shape)
    slots = tf.sort(tf.where(chosen, column, shape[1]), axis=1)
    slots = tf.pad(slots, [[0, 0], [0, max_predictions]], constant_values=-1)[:, :max_predictions]
    real = (slots >= 0) & (slots < shape[1])
    positions = tf.where(real, slots, 0)
    mask_ids = tf.where(real, tf.gather(token_ids, positions, batch_dims=1), 0)

    fate = tf.random.stateless_uniform(shape, seeds[1])
    drawn = tf.random.stateless_uniform(shape, seeds[2], 0, vocabulary_size, tf.int32)
    replaced = tf.where(fate < mask_rate, mask_id, drawn)
    changed = chosen & (fate < mask_rate + random_rate)
    return {
        "token_ids": tf.where(changed, replaced, token_ids),
        "mask_positions": positions,
        "mask_ids": mask_ids,
        "mask_weights": tf.cast(real, tf.float32),
    }


def _ranks(scores, candidates):
    """(B, L) int32: 0 at the candidate with the highest score; others come last."""
    order = tf.argsort(tf.where(candidates, scores, -1.0), axis=1, direction="DESCENDING")
    return tf.argsort(order, axis=1)


def _whole_words(scores, candidates, continues, number):
    """(B, L) bool: pieces of words in the order of their scores, as many as fit `number` (B,)."""
    rows, columns = tf.unstack(tf.shape(scores))
    first = candidates & tf.equal(tf.cumsum(tf.cast(candidates, tf.int32), axis=1), 1)
    begins = candidates & (first | ~continues)
    # (B, L): the number of each piece's word, in one count over the batch.
    word = tf.cumsum(tf.cast(begins, tf.int32), axis=1)
    word += (columns + 1) * tf.range(rows)[:, None]
    words = (columns + 1) * rows
    sizes = tf.math.unsorted_segment_sum(tf.cast(candidates, tf.int32), word, words)
    ranks = _ranks(scores, begins)
    order = tf.argsort(ranks, axis=1)
    size = tf.where(begins, tf.gather(sizes, word), 0)
    size = tf.transpose(tf.gather(size, order, batch_dims=1))  # (L, B), words in random order

    def take(state, size):
        left, _ = state
        fits = (size > 0) & (size <= left)
        return left - tf.where(fits, size, 0), fits

    _, taken = tf.scan(take, size, initializer=(number, tf.zeros_like(number, tf.bool)))
    taken = tf.gather(tf.transpose(taken), ranks, batch_dims=1)  # (B, L) at first pieces
    taken = tf.math.unsorted_segment_max(tf.cast(taken & begins, tf.int32), word, words)
    return candidates & (tf.gather(taken, word) > 0)
