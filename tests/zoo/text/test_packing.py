"""Segments cut in turn and packed into rows."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.text import packing


def in_turn(first, second, budget):
    """One piece of each at a time, the first first."""
    taken = [0, 0]
    while sum(taken) < budget and (taken[0] < first or taken[1] < second):
        for i, size in enumerate((first, second)):
            if taken[i] < size and sum(taken) < budget:
                taken[i] += 1
    return tuple(taken)


def test_share_is_taken_in_turn():
    cases = [(a, b, budget) for a in range(7) for b in range(7) for budget in range(8)]
    for budget in range(8):
        a, b = np.array([case[:2] for case in cases if case[2] == budget]).T
        found = np.stack(packing.share(tf.constant(a), tf.constant(b), budget), axis=1)
        expected = [in_turn(x, y, budget) for x, y in zip(a, b, strict=True)]
        np.testing.assert_array_equal(found, expected)


def test_trim():
    first = tf.ragged.constant([[1, 2, 3, 4], [], [1]], dtype=tf.int32)
    second = tf.ragged.constant([[5, 6, 7], [5, 6, 7, 8, 9], []], dtype=tf.int32)
    one, two = packing.trim([first, second], 4)
    assert one.to_list() == [[1, 2], [], [1]]
    assert two.to_list() == [[5, 6], [5, 6, 7, 8], []]
    (alone,) = packing.trim([first], tf.constant(3))
    assert alone.to_list() == [[1, 2, 3], [], [1]]


@pytest.mark.parametrize("length", [None, 8, tf.constant(8)], ids=["longest", "int", "tensor"])
def test_join(length):
    one = tf.ragged.constant([[7], [7, 7]], dtype=tf.int32)
    two = tf.ragged.constant([[8, 8], []], dtype=tf.int32)
    rows = packing.join([one, two], 1, [2, 3], 0, length).numpy()
    segments = packing.segment_ids([one, two], length).numpy()
    width = 6 if length is None else 8
    assert rows.shape == segments.shape == (2, width)
    assert rows[:, :6].tolist() == [[1, 7, 2, 8, 8, 3], [1, 7, 7, 2, 3, 0]]
    assert segments[:, :6].tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0]]
    assert not rows[:, 6:].any() and not segments[:, 6:].any()
    assert packing.lengths([one, two]).numpy().tolist() == [6, 5]


def test_no_rows():
    empty = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))
    assert packing.join(packing.trim([empty, empty], 3), 1, [2, 2], 0).shape[0] == 0
