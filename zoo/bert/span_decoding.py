"""Long contexts in windows, and the best spans out of the windows' scores, in TensorFlow's graph.

As google-research/bert's `run_squad.py` does it, except that all starts and ends are combined,
not only the best twenty of each.

Shapes: B questions, N windows of all of them, L positions of a window, K answers.
"""

from typing import NamedTuple

import tensorflow as tf

from ..text import packing


class Windows(NamedTuple):
    """Windows `[CLS] question [SEP] part of the context [SEP]`.

    Attributes:
        question: ragged int32 (N, (pieces)). context: ragged int32 (N, (pieces)), the part.
        row: (N,) int64. Whose window it is, ascending.
        start: (N,) int64. Where in the context's pieces the part begins.
    """

    question: tf.RaggedTensor
    context: tf.RaggedTensor
    row: tf.Tensor
    start: tf.Tensor


def windows(question, context, max_length=384, stride=128, max_question_length=64):
    """Cuts contexts into overlapping windows.

    Args:
        question, context: ragged int32 (B, (pieces)).
        max_length: int. Positions of a window, special pieces included.
        stride: int. Pieces from one window's start to the next one's.
        max_question_length: int. Pieces of the question that are kept.

    Raises:
        ValueError: a stride that would leave gaps.

    Example:
    >>> question, context = tf.ragged.constant([[7, 8]]), tf.ragged.constant([list(range(9))])
    >>> found = windows(question, context, max_length=10, stride=3, max_question_length=2)
    >>> found.start.numpy().tolist(), found.context.to_list()
    ([0, 3, 6], [[0, 1, 2, 3, 4], [3, 4, 5, 6, 7], [6, 7, 8]])
    """
    check_windows(max_length, stride, max_question_length)
    question = packing.cut(question, tf.fill([question.nrows()], max_question_length))
    size = context.row_lengths()
    room = max_length - 3 - question.row_lengths()
    number = 1 + tf.maximum(size - room + stride - 1, 0) // stride
    row = tf.repeat(tf.range(tf.size(number, tf.int64)), number)
    before = tf.gather(tf.cumsum(number, exclusive=True), row)
    start = stride * (tf.range(tf.size(row, tf.int64)) - before)
    length = tf.minimum(tf.gather(room, row), tf.gather(size, row) - start)
    first = tf.gather(context.row_starts(), row) + start
    part = tf.ragged.range(first, first + length, row_splits_dtype=tf.int64)
    part = part.with_values(tf.gather(context.values, part.values))
    return Windows(tf.gather(question, row), part, row, start)


def check_windows(max_length, stride, max_question_length):
    """Refuses windows that would leave a part of a context out.

    Raises:
        ValueError: the stride is greater than what a window holds of the context.
    """
    if max_question_length < 1 or not 1 <= stride <= max_length - max_question_length - 3:
        raise ValueError(
            "`stride` must be at least 1 and at most `max_length` - `max_question_length` - 3, "
            "what a window holds of the context. Received: "
            f"stride={stride}, max_length={max_length}, max_question_length={max_question_length}"
        )


class Spans(NamedTuple):
    """The best answers to each question, best first.

    Attributes:
        first, last: (B, K) int64. Pieces of the context, the last inclusive; 0 where there is no
            further answer.
        scores: (B, K) float32. The sum of both logits; `NONE` where there is no further answer.
        null_scores: (B,) float32. The lowest sum of the logits at [CLS] over the windows.
    """

    first: tf.Tensor
    last: tf.Tensor
    scores: tf.Tensor
    null_scores: tf.Tensor


NONE = -1e30


def best_spans(found, start_logits, end_logits, rows, num_answers=20, max_answer_length=30):
    """The best answers over all windows of each question.

    An answer begins where its first piece has the most context in its window.

    Args:
        found: Windows. start_logits, end_logits: (N, L) float32.
        rows: scalar int64. B.
        num_answers: int. K. max_answer_length: int. Pieces.

    Returns:
        Spans.

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), sections 4.2 and 4.3.
    """
    length = found.context.row_lengths()
    width = tf.maximum(tf.reduce_max(tf.concat([length, [0]], 0)), 1)
    column = tf.range(width)[None]
    inside = column < length[:, None]  # (N, width)
    offset = found.question.row_lengths()[:, None] + 2
    at = tf.where(inside, offset + column, 0)
    starts, ends = (tf.gather(x, at, batch_dims=1) for x in (start_logits, end_logits))
    starts = tf.where(inside & _has_most_context(found, inside, column), starts, NONE)
    ends = tf.pad(
        tf.where(inside, ends, NONE), [[0, 0], [0, max_answer_length]], constant_values=NONE
    )
    spans = tf.stack(
        [starts + ends[:, i : i + tf.cast(width, tf.int32)] for i in range(max_answer_length)], 2
    )  # (N, width, max_answer_length)
    spans = tf.reshape(spans, [-1, width * max_answer_length])
    k = tf.minimum(num_answers, tf.cast(width, tf.int32) * max_answer_length)
    scores, place = tf.math.top_k(spans, k)  # (N, k)
    first = found.start[:, None] + tf.cast(place // max_answer_length, tf.int64)
    last = first + tf.cast(place % max_answer_length, tf.int64)

    def of_question(values, padding):
        grouped = tf.RaggedTensor.from_value_rowids(values, found.row, nrows=rows)
        dense = tf.reshape(grouped.to_tensor(padding), [rows, -1])
        return tf.pad(dense, [[0, 0], [0, num_answers]], constant_values=padding)

    scores, order = tf.math.top_k(of_question(scores, NONE), num_answers)
    real = scores > NONE / 2
    first, last = (
        tf.where(real, tf.gather(of_question(x, 0), order, batch_dims=1), 0) for x in (first, last)
    )
    null = tf.math.unsorted_segment_min(start_logits[:, 0] + end_logits[:, 0], found.row, rows)
    return Spans(first, last, tf.where(real, scores, NONE), null)


def _has_most_context(found, inside, column):
    """(N, width) bool: whether a piece has more on both sides than in any other window.

    The smaller side counts; between equals the longer window, then the first.
    """
    length = found.context.row_lengths()[:, None]
    smaller = tf.minimum(column, length - 1 - column)
    # In whole numbers, which can be compared: 100 stands for a piece, 1 for one of the window.
    score = 4096 * (100 * smaller + length) - found.start[:, None]
    piece = found.start[:, None] + column
    total = tf.reduce_max(tf.concat([tf.reshape(piece, [-1]), [0]], 0)) + 1
    segment = tf.where(inside, found.row[:, None] * total + piece, -1)
    number = (tf.reduce_max(tf.concat([found.row, [0]], 0)) + 1) * total
    best = tf.math.unsorted_segment_max(score, segment, number)
    return tf.equal(score, tf.gather(best, tf.maximum(segment, 0)))
