"""One or two texts into one row of fixed length: `[CLS] A [SEP] B [SEP]`."""

import tensorflow as tf


def share(first, second, budget):
    """How many pieces of each of two segments fit, where they are taken in turn, the first first.

    A segment that is shorter than its half leaves the rest to the other.

    Args:
        first, second: (B,) int. Pieces of each segment.
        budget: int. Pieces that there is room for.

    Returns:
        Two (B,) tensors of int.

    Example:
    >>> first, second = share(tf.constant([9, 9, 1]), tf.constant([9, 2, 9]), 7)
    >>> first.numpy().tolist(), second.numpy().tolist()
    ([4, 5, 1], [3, 2, 6])
    """
    kept = tf.minimum(first, tf.maximum(budget - second, budget - budget // 2))
    return kept, tf.minimum(second, budget - kept)


def cut(rows, lengths):
    """The first `lengths` (B,) items of each row of a ragged (B, (L)) tensor.

    Example:
    >>> cut(tf.ragged.constant([[1, 2, 3], [4]]), tf.constant([2, 5])).to_list()
    [[1, 2], [4]]
    """
    lengths = tf.cast(lengths, rows.row_splits.dtype)
    row = rows.value_rowids()
    column = tf.range(tf.size(row, row.dtype)) - tf.gather(rows.row_starts(), row)
    values = tf.boolean_mask(rows.values, column < tf.gather(lengths, row))
    lengths = tf.minimum(lengths, rows.row_lengths())
    return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)


def trim(segments, budget):
    """Cuts one or two ragged (B, (L)) segments to at most `budget` (int64) items together."""
    budget = tf.cast(budget, tf.int64)
    if len(segments) == 1:
        return [cut(segments[0], tf.minimum(segments[0].row_lengths(), budget))]
    first, second = segments
    shares = share(first.row_lengths(), second.row_lengths(), budget)
    return [cut(first, shares[0]), cut(second, shares[1])]


def join(segments, start, ends, padding, length=None):
    """`start A end` or `start A end B end`, then `padding` up to `length`.

    Args:
        segments: one or two ragged (B, (L)) tensors, short enough already (see `trim`).
        start, padding: values of the segments' dtype.
        ends: such a value for each segment.
        length: int, scalar tensor, or None for that of the longest row.

    Returns:
        (B, length) tensor of the segments' dtype.

    Example:
    >>> join([tf.ragged.constant([[7, 8], [9]])], 1, [2], 0).numpy().tolist()
    [[1, 7, 8, 2], [1, 9, 2, 0]]
    """
    shape = tf.stack([segments[0].nrows(out_type=tf.int32), 1])

    def column(value):
        return tf.fill(shape, tf.cast(value, segments[0].dtype))

    parts = [column(start)]
    for segment, end in zip(segments, ends, strict=True):
        parts += [segment, column(end)]
    return pad(tf.concat(parts, axis=1), padding, length)


def pad(rows, padding, length=None):
    """Ragged (B, (L)) rows as a (B, length) tensor.

    Args:
        rows: ragged.
        padding: value behind what is there.
        length: int, scalar tensor, or None for that of the longest row. Longer rows are cut.

    Example:
    >>> pad(tf.ragged.constant([[1], [2, 3]]), 0, tf.constant(3)).numpy().tolist()
    [[1, 0, 0], [2, 3, 0]]
    """
    if length is None:
        return rows.to_tensor(padding)
    if isinstance(length, int):
        return rows.to_tensor(padding, shape=(None, length))
    dense = rows.to_tensor(padding)[:, :length]  # a length that only the graph knows
    missing = tf.maximum(length - tf.shape(dense)[1], 0)
    return tf.pad(dense, [[0, 0], [0, missing]], constant_values=padding)


def segment_ids(segments, length=None):
    """0 at `[CLS] A [SEP]` and at padding, 1 at `B [SEP]`: (B, length) int32, as `join`.

    Example:
    >>> one, two = tf.ragged.constant([[7, 8]]), tf.ragged.constant([[9]])
    >>> segment_ids([one, two], 7).numpy().tolist()
    [[0, 0, 0, 0, 1, 1, 0]]
    """
    numbers = [
        segment.with_values(tf.fill(tf.shape(segment.values), i))
        for i, segment in enumerate(segments)
    ]
    return join(numbers, 0, range(len(segments)), 0, length)


def lengths(segments):
    """Items of each row that `join` makes: (B,) int64."""
    return tf.add_n([segment.row_lengths() + 1 for segment in segments]) + 1
