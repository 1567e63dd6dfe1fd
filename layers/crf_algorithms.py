"""Dynamic programs of a linear-chain CRF on log-potentials, in `keras.ops`.

`potentials[t, b, i, j]` is the score of tag j at step t of sentence b when step t - 1 has tag i.
Before step 0 every sentence is in tag 0, and a padded step leads to tag 0 with score 0 and nowhere
else: so start, end and padding are in the potentials, and nothing below needs a mask. Forbidden
steps score `FORBIDDEN`, a large finite number, since infinities would turn into NaN in gradients.

Shapes: L steps, B sentences, T tags; everything float32.
"""

from keras import ops

FORBIDDEN = -1e6


def _max(x, axis, keepdims=False):
    # Run eagerly on TensorFlow, `ops.max` refuses empty batches.
    reduce = ops.sum if 0 in x.shape else ops.max
    return reduce(x, axis=axis, keepdims=keepdims)


def _log_sum_exp(x, axis):
    """`ops.logsumexp` for scores known to be finite, with fewer operations in the loops."""
    top = _max(x, axis, keepdims=True)
    total = ops.sum(ops.exp(x - top), axis=axis)
    return ops.squeeze(top, axis) + ops.log(total)


def _initial(potentials):
    """(B, T): every sentence is in tag 0."""
    row = ops.one_hot(0, potentials.shape[-1], dtype="float32")
    return ops.broadcast_to((1.0 - row) * FORBIDDEN, ops.shape(potentials)[1:3])


def forward(potentials):
    """Scores of all ways to each tag.

    Args:
        potentials: (L, B, T, T).

    Returns:
        alpha: (L, B, T), log-scores shifted so that the best of each step is 0: sums over thousands
            of tokens would leave float32 no digits for the differences.
        log_partition: (B,).
    """

    def step(carry, potential):
        alpha = _log_sum_exp(ops.expand_dims(carry[0], -1) + potential, axis=1)  # (B, T)
        top = _max(alpha, -1, keepdims=True)
        carry = (alpha - top, top)
        return carry, carry

    start = _initial(potentials)
    (last, _), (alpha, tops) = ops.scan(step, (start, start[:, :1]), potentials)
    return alpha, ops.sum(tops, axis=(0, 2)) + _log_sum_exp(last, axis=-1)


def backward(potentials):
    """Scores of all ways from each tag to the end: (L, B, T), shifted as in `forward`."""

    def step(beta, potential):
        before = _log_sum_exp(ops.expand_dims(beta, 1) + potential, axis=2)  # (B, T)
        return before - _max(before, -1, keepdims=True), beta

    return ops.scan(step, ops.zeros_like(potentials[0, :, 0]), potentials, reverse=True)[1]


def log_partition(potentials):
    """Log of the summed scores of all paths: (L, B, T, T) -> (B,).

    The gradient is written out, the probability of each pair of neighboring tags: one more loop
    and one product over all steps instead of differentiating through the loop.
    """

    @ops.custom_gradient
    def run(potentials):
        alpha, total = forward(potentials)

        def gradient(*upstream):
            before = ops.concatenate([_initial(potentials)[None], alpha[:-1]], axis=0)
            after = backward(potentials)
            joint = before[..., :, None] + potentials + after[..., None, :]
            joint = ops.exp(joint - _max(joint, (2, 3), keepdims=True))
            scale = upstream[0][None, :, None, None] / ops.sum(joint, axis=(2, 3), keepdims=True)
            return joint * scale

        return total, gradient

    return run(potentials)


def path_score(potentials, tags):
    """Score of one path: (L, B, T, T) and tags (L, B), 0 at padding -> (B,).

    An id that is no tag's is forbidden.
    """
    num_tags = potentials.shape[-1]
    known = (tags >= 0) & (tags < num_tags)
    tags = ops.where(known, tags, 0)  # else another sentence's score would be read
    before = ops.concatenate([ops.zeros_like(tags[:1]), tags[:-1]], axis=0)
    # One flat gather: `ops.take_along_axis` costs a dozen operations on TensorFlow.
    length, batch = ops.shape(tags)
    row = ops.reshape(ops.arange(length * batch), (length, batch))
    index = (row * num_tags + before) * num_tags + tags
    scores = ops.take(ops.reshape(potentials, (-1,)), index)
    return ops.sum(ops.where(known, scores, FORBIDDEN), axis=0)


def best_path(potentials):
    """Viterbi: (L, B, T, T) -> tags (L, B) int32, 0 at padding, and their score (B,)."""

    def step(carry, potential):
        # (B, to, from): the maximum over the last axis is the quick one.
        scores = ops.expand_dims(carry[0], 1) + potential
        # `ops.scan` wants outputs of the carry's structure: the pointers travel along.
        carry = (_max(scores, -1), ops.cast(ops.argmax(scores, axis=-1), "int32"))
        return carry, carry

    def step_back(tag, pointers):
        here = ops.equal(choices, ops.expand_dims(tag, -1))
        return ops.sum(ops.where(here, pointers, 0), axis=-1), tag

    choices = ops.arange(potentials.shape[-1], dtype="int32")
    start = _initial(potentials)
    reached = ops.transpose(potentials, (0, 1, 3, 2))
    (scores, _), (_, pointers) = ops.scan(step, (start, ops.cast(start, "int32")), reached)
    last = ops.cast(ops.argmax(scores, axis=-1), "int32")
    _, tags = ops.scan(step_back, last, pointers, reverse=True)
    return tags, _max(scores, -1)


def marginals(potentials):
    """Probability of each tag at each step, by forward-backward: (L, B, T, T) -> (L, B, T)."""
    alpha, _ = forward(potentials)
    return ops.softmax(alpha + backward(potentials), axis=-1)
